"""Runs go from one server to another through a file, at the terminal, and are the same there."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.factories import log_record, logs_request, otlp_request, plain_span, run_span, span_id, step_span
from tests.faults.test_kills import PROTOBUF
from tests.query_api.test_otlp_export import RUN_ID, rich_request
from tests.serving import RunningServer, running_server
from tests.waiting import until


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, RunningServer]]:
    """The first has a rich run with a log record, and a small one."""
    folder = tmp_path_factory.mktemp("exchange")
    with running_server(folder / "here") as here, running_server(folder / "there") as there:
        records = logs_request(log_record("said", attributes={"n": [1]}))
        send(here, "traces", rich_request().SerializeToString())
        send(here, "traces", otlp_request(run_span(trace_id=bytes([9] * 16))).SerializeToString())
        send(here, "logs", records.SerializeToString())
        until(lambda: httpx.get(f"{here.url}/api/v1/runs/{'09' * 16}").is_success)
        until(lambda: exported(here, "logs") != b'{"resourceLogs":[]}')
        yield here, there


def send(server: RunningServer, signal: str, body: bytes) -> None:
    httpx.post(f"{server.url}/v1/{signal}", content=body, headers=PROTOBUF).raise_for_status()


def exported(server: RunningServer, signal: str = "traces") -> bytes:
    return httpx.get(f"{server.url}/api/v1/runs/{RUN_ID}/otlp", params={"signal": signal}).content


def backtrail(server: RunningServer, *arguments: str, input: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "backtrail", *arguments, "--endpoint", server.url]
    return subprocess.run(command, capture_output=True, input=input, check=False)


def test_a_run_that_went_through_a_file_is_the_same_on_another_server(
    servers: tuple[RunningServer, RunningServer], tmp_path: Path
) -> None:
    here, there = servers
    file = str(tmp_path / "runs.jsonl")

    out = backtrail(here, "export", RUN_ID, "0909", "-o", file)
    assert (out.returncode, out.stderr.decode()) == (0, f"2 runs written to {file}\n")
    back = backtrail(there, "import", file)
    assert (back.returncode, back.stderr.decode()) == (0, "4 spans and 1 log records imported\n")

    until(lambda: exported(there, "logs") == exported(here, "logs"))
    until(lambda: exported(there) == exported(here))
    assert [next(iter(json.loads(line))) for line in Path(file).read_text().splitlines()] == [
        "resourceSpans",
        "resourceLogs",
        "resourceSpans",
    ]
    again = backtrail(there, "import", "-", input=Path(file).read_bytes())
    assert again.returncode == 0
    assert exported(there) == exported(here)


def test_protobuf_files_go_both_ways_too(servers: tuple[RunningServer, RunningServer], tmp_path: Path) -> None:
    here, _ = servers
    out = backtrail(here, "export", RUN_ID, "--format", "protobuf")
    assert "its log records are left out" in out.stderr.decode()

    with running_server(tmp_path / "third") as third:
        back = backtrail(third, "import", "-", input=out.stdout)
        assert (back.returncode, back.stderr.decode()) == (0, "3 spans imported\n")
        until(lambda: exported(third) == exported(here))


def test_what_the_server_would_not_have_is_said_and_the_rest_is_imported(
    servers: tuple[RunningServer, RunningServer], tmp_path: Path
) -> None:
    request = otlp_request(plain_span(trace_id=bytes([5] * 16)), plain_span("bad", trace_id=b"short"))
    body = request.SerializeToString()
    file = tmp_path / "some.bin"
    file.write_bytes(bytes([len(body)]) + body if len(body) < 128 else varint(len(body)) + body)

    done = backtrail(servers[1], "import", str(file))

    assert done.returncode == 1
    assert done.stderr.decode().startswith("1 spans imported\nbacktrail: 1 more were rejected: ")
    assert "trace_id of 5 bytes" in done.stderr.decode()


def varint(number: int) -> bytes:
    return bytes((number & 0x7F | 0x80, number >> 7))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"resourceSpans":[]}\n{"resource', "line 2 is not JSON"),
        (b"{not json", "neither lines of JSON nor one JSON document"),
        (b"\x05abc", "message 1 is cut off: 5 bytes announced, 3 there"),
        (b"\xff\xff\xff\xff\xff\xff", "begins neither with a JSON object nor with the length"),
        (b"\x03abc", "message 1 is not an ExportTraceServiceRequest"),
    ],
)
def test_a_file_that_is_none_of_these_is_told_in_a_sentence(
    servers: tuple[RunningServer, RunningServer], tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "broken"
    file.write_bytes(content)

    done = backtrail(servers[1], "import", str(file))

    assert done.returncode == 2
    assert done.stderr.decode().startswith(f"backtrail: {file}: ")
    assert said in done.stderr.decode()


def test_a_file_that_is_not_there_is_told_in_a_sentence(servers: tuple[RunningServer, RunningServer]) -> None:
    done = backtrail(servers[1], "import", "/no/such/file")

    assert (done.returncode, done.stderr.decode()) == (
        2,
        "backtrail: /no/such/file: No such file or directory; before that, nothing imported\n",
    )


def test_a_large_run_goes_in_requests_of_a_bounded_size(
    servers: tuple[RunningServer, RunningServer], tmp_path: Path
) -> None:
    here, there = servers
    trace_id = bytes([6] * 16)
    spans = [
        step_span(number=number, trace_id=trace_id, attributes={"filler": f"{number:05}" * 1000})
        for number in range(1, 2001)
    ]
    send(here, "traces", otlp_request(*spans).SerializeToString())
    until(lambda: httpx.get(f"{here.url}/api/v1/runs/{trace_id.hex()}/otlp").is_success)
    line = httpx.get(f"{here.url}/api/v1/runs/{trace_id.hex()}/otlp").content
    (tmp_path / "large.jsonl").write_bytes(line)
    assert len(line) > 8 << 20

    done = backtrail(there, "import", str(tmp_path / "large.jsonl"))

    assert (done.returncode, done.stderr.decode()) == (0, "2,000 spans imported\n")
    until(lambda: httpx.get(f"{there.url}/api/v1/runs/{trace_id.hex()}/otlp").content == line, seconds=60)
    body = httpx.get(
        f"{there.url}/api/v1/runs/{trace_id.hex()}/otlp", headers={"accept": "application/x-protobuf"}
    ).content
    request = ExportTraceServiceRequest.FromString(body)
    assert sum(len(one.scope_spans[0].spans) for one in request.resource_spans) == 2000
    assert request.resource_spans[0].scope_spans[0].spans[0].span_id == span_id(1)

"""GET /readyz: what makes a server unready, what only degrades it, and that nothing holds up the answer."""

import asyncio
import itertools
import os
import random
import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from prometheus_client import CollectorRegistry

from backtrail_ingest import Ledger, Writer, open_inbox
from backtrail_server.probes import writer_probe
from backtrail_server.readiness import Finding, Readiness
from backtrail_store import Batch
from tests.bad_network import bad_network
from tests.clickhouse_http import clickhouse_listening
from tests.factories import TRACE_ID, otlp_request, plain_span, span_id
from tests.ingest.conftest import envelope_of
from tests.serving import RunningServer, running_server

PROTOBUF = {"content-type": "application/x-protobuf"}
REASON = Finding(part="disk", reason="it is nearly full", stops_work=False)


def reasons(server: RunningServer) -> list[tuple[str, bool, str]]:
    answer = httpx.get(f"{server.url}/readyz").json()
    return [(one["part"], one["stops_work"], one["reason"]) for one in answer["reasons"]]


def wait_for(server: RunningServer, status: int) -> httpx.Response:
    for _ in range(300):
        answer = httpx.get(f"{server.url}/readyz")
        if answer.status_code == status:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"it still answers {answer.status_code}: {answer.text}")


# --- The report ---------------------------------------------------------------------------------------------


async def test_without_findings_it_is_ready_with_mild_ones_degraded_and_else_not_ready() -> None:
    found: list[Finding] = []
    for findings, status in (
        ([], "ready"),
        ([REASON], "degraded"),
        ([REASON, Finding(part="store", reason="it is away")], "not ready"),
    ):
        found[:] = findings
        readiness = Readiness({"disk": lambda: found})

        report = await readiness.report()

        assert (report.status, list(report.findings)) == (status, findings)
        readiness.close()


async def test_a_part_that_hangs_is_asked_once_and_the_others_are_heard() -> None:
    asked = itertools.count()
    ended = threading.Event()

    def hangs() -> Iterator[Finding]:
        next(asked)
        ended.wait()
        yield REASON

    readiness = Readiness({"store": hangs, "disk": lambda: [REASON]})
    reports = [await readiness.report() for _ in range(2)]
    ended.set()

    for report in reports:
        assert report.status == "not ready"
        assert [finding.part for finding in report.findings] == ["store", "disk"]
        assert "the store has not answered for" in report.findings[0].reason
    assert next(asked) == 1
    for _ in range(500):
        if (await readiness.report()).status == "degraded":
            break
        await asyncio.sleep(0.01)
    assert (await readiness.report()).status == "degraded"
    readiness.close()


async def test_a_part_that_cannot_be_asked_says_why() -> None:
    def fails() -> list[Finding]:
        raise OSError("the disk is gone")

    report = await Readiness({"inbox": fails}).report()

    assert [finding.reason for finding in report.findings] == ["the inbox cannot be asked: the disk is gone"]


# --- A real server ------------------------------------------------------------------------------------------


def test_a_sound_server_is_ready(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        answer = httpx.get(f"{server.url}/readyz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "reasons": []})


def test_t5_a_disk_without_room_is_not_ready_and_says_why_as_the_refused_export_does(tmp_path: Path) -> None:
    with running_server(tmp_path, env=os.environ | {"BACKTRAIL_DISK_RESERVE_BYTES": str(1 << 50)}) as server:
        answer = httpx.get(f"{server.url}/readyz")
        body = otlp_request(plain_span()).SerializeToString()
        refused = httpx.post(f"{server.url}/v1/traces", content=body, headers=PROTOBUF)
        assert httpx.get(f"{server.url}/api/v1/runs").is_success

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.headers["content-type"] == "application/problem+json"
    assert f"the disk of {tmp_path} has " in answer.json()["detail"]
    assert "no spans are taken" in answer.json()["detail"]
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")


def test_an_inbox_that_is_nearly_full_is_not_ready(engine_folder: Path, tmp_path: Path) -> None:
    note = random.Random(1).randbytes(400_000).hex()
    with ExitStack() as stack:
        with clickhouse_listening(engine_folder) as address:
            env = os.environ | {"BACKTRAIL_INBOX_BYTES": str(1 << 20)}
            server = stack.enter_context(running_server(tmp_path, "--store", f"{address}/nearly_full", env=env))
        for number in range(40):
            span = plain_span(id_=span_id(number + 1), attributes={"note": note[number * 20_000 :][:20_000]})
            body = otlp_request(span).SerializeToString()
            if httpx.post(f"{server.url}/v1/traces", content=body, headers=PROTOBUF).status_code == 503:
                break

        found = {part: reason for part, stops_work, reason in reasons(server) if stops_work}

    assert set(found) == {"store", "writer", "inbox"}
    assert "of the 1048576 bytes it may (BACKTRAIL_INBOX_BYTES)" in found["inbox"]


async def test_what_waits_longer_than_it_should_means_a_writer_that_is_stuck(tmp_path: Path) -> None:
    class TakesNothing:
        def insert(self, batch: Batch) -> None:
            raise AssertionError("the writer was not started")

    with open_inbox(tmp_path / "inbox.sqlite", max_bytes=1 << 20, ledger=Ledger(CollectorRegistry())) as inbox:
        probe = writer_probe(Writer(inbox, TakesNothing()), inbox, stuck_seconds=-1)
        assert list(probe()) == []

        await inbox.append(envelope_of(plain_span()))

        [finding] = probe()
        assert finding.stops_work
        assert re.fullmatch(
            r"what arrived \d+ s ago is not readable yet: the store is stuck, or too slow", finding.reason
        )


def test_t9_a_quarantined_request_degrades_but_stops_nothing(tmp_path: Path) -> None:
    with open_inbox(tmp_path / "inbox.sqlite", max_bytes=1 << 20, ledger=Ledger(CollectorRegistry())) as inbox:
        asyncio.run(inbox.append(envelope_of(plain_span())))
        inbox.quarantine(inbox.take(1).result(5)[0], "the engine did not like it")

    with running_server(tmp_path) as server:
        assert httpx.get(f"{server.url}/readyz").json()["status"] == "degraded"
        [(part, stops_work, reason)] = reasons(server)

    assert (part, stops_work) == ("quarantine", False)
    assert reason.startswith("1 spans and log records are in quarantine")


def test_t6_an_inbox_put_aside_is_not_ready_until_the_restart_and_degraded_until_it_is_moved(tmp_path: Path) -> None:
    (tmp_path / "inbox.sqlite").write_bytes(b"this is no database at all" * 100)
    with running_server(tmp_path) as server:
        answer = httpx.get(f"{server.url}/readyz")
        assert answer.status_code == 503
        assert "was put aside as" in answer.json()["detail"]

    with running_server(tmp_path) as server:
        [(part, stops_work, reason)] = reasons(server)
        [aside] = tmp_path.glob("inbox.sqlite.damaged-*")
        assert (part, stops_work) == ("inbox", False)
        assert str(aside) in reason
        aside.unlink()

        assert wait_for(server, 200).json()["status"] in ("ready", "degraded")  # degraded for the second it is kept
        while reasons(server):
            time.sleep(0.1)


def test_t7_a_damaged_part_is_not_ready_and_names_the_part_and_its_rows(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        body = otlp_request(plain_span()).SerializeToString()
        httpx.post(f"{server.url}/v1/traces", content=body, headers=PROTOBUF).raise_for_status()
        while not httpx.get(f"{server.url}/api/v1/traces/{TRACE_ID.hex()}").is_success:
            time.sleep(0.02)
    [column] = [file for file in (tmp_path / "clickhouse" / "store").rglob("data.bin") if is_of_spans(file)]
    column.write_bytes(column.read_bytes()[:100])

    with running_server(tmp_path) as server:
        answer = httpx.get(f"{server.url}/readyz")

    assert answer.status_code == 503
    assert "damaged parts aside" in answer.json()["detail"]
    assert "of table spans (broken-on-start, 1 rows," in answer.json()["detail"]


def is_of_spans(file: Path) -> bool:
    columns = (file.parent / "columns.txt").read_text()
    return "`trace_state`" in columns


def test_t8_a_store_that_is_away_is_not_ready(engine_folder: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        with clickhouse_listening(engine_folder) as address:
            server = stack.enter_context(running_server(tmp_path, "--store", f"{address}/readiness"))

        answer = httpx.get(f"{server.url}/readyz")

    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("the store cannot be asked: ")


def test_t8_a_store_that_takes_questions_and_gives_no_answer_does_not_hold_up_readyz(
    engine_folder: Path, tmp_path: Path
) -> None:
    with clickhouse_listening(engine_folder) as address:
        listener = urlsplit(address)
        with bad_network(str(listener.hostname), listener.port or 0) as network:
            store = f"clickhouse://127.0.0.1:{network.port}/hanging?read_timeout=600"
            with running_server(tmp_path, "--store", store) as server:
                network.become("half-open")

                answer = httpx.get(f"{server.url}/readyz", timeout=60)
                server.kill()

    assert answer.status_code == 503
    assert "the store has not answered for" in answer.json()["detail"]

"""`serve --only`: receiving and answering in processes of their own, on one ClickHouse server."""

import time
from pathlib import Path

import httpx
import pytest

from tests.clickhouse_http import clickhouse_listening
from tests.factories import TRACE_ID, otlp_request, plain_span
from tests.server.test_serving import PROTOBUF, run_and_fail
from tests.serving import running_server, serve_command


def test_what_one_process_receives_others_answer(engine_folder: Path, tmp_path: Path) -> None:
    with (
        clickhouse_listening(engine_folder) as address,
        running_server(tmp_path / "ingest", "--store", f"{address}/only", "--only", "ingest") as ingest,
        running_server(tmp_path / "query", "--store", f"{address}/only", "--only", "query") as query,
        running_server(tmp_path / "query", "--store", f"{address}/only", "--only", "query") as another,
    ):
        body = otlp_request(plain_span("kept")).SerializeToString()
        assert httpx.post(f"{ingest.url}/v1/traces", content=body, headers=PROTOBUF).status_code == 200
        path = f"/api/v1/traces/{TRACE_ID.hex()}"
        while not (answer := httpx.get(f"{query.url}{path}")).is_success:
            time.sleep(0.02)

        assert [span["name"] for span in answer.json()["spans"]] == ["kept"]
        assert httpx.get(f"{another.url}{path}").json() == answer.json()
        assert httpx.get(f"{ingest.url}{path}").status_code == 404
        assert httpx.post(f"{query.url}/v1/traces", content=body, headers=PROTOBUF).status_code in (404, 405)
        for server in (ingest, query, another):
            for probe in ("healthz", "readyz", "metrics"):
                assert httpx.get(f"{server.url}/{probe}").status_code == 200
        assert (ingest.grpc_target != "", query.grpc_target) == (True, "")
        assert not (tmp_path / "query").exists()
        assert "default" not in query.ready_line  # nothing of what stands before the host


def test_a_process_that_only_answers_does_not_make_the_schema(engine_folder: Path, tmp_path: Path) -> None:
    with clickhouse_listening(engine_folder) as address:
        complaint = run_and_fail(serve_command(tmp_path, "--store", f"{address}/nothing_there", "--only", "query"))

    assert "The database nothing_there lacks 0000_" in complaint
    assert "run backtrail-server migrate, or start a process that receives" in complaint


@pytest.mark.parametrize(("part", "store"), [("ingest", []), ("query", ["--store", "chdb:///tmp/x"])])
def test_an_embedded_store_belongs_to_one_process(tmp_path: Path, part: str, store: list[str]) -> None:
    complaint = run_and_fail(serve_command(tmp_path / "data", "--only", part, *store))

    assert f"--only {part} (or BACKTRAIL_ONLY) needs a ClickHouse server" in complaint
    assert not (tmp_path / "data").exists()

"""T30: two projects hold the same trace and span ids, and neither sees a byte of the other."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from backtrail_server import Settings, create_app
from backtrail_server.auth.routes import Routes
from backtrail_store.questions import QUERIES
from tests.factories import ROOT_ID, START, log_record, logs_request, otlp_request, plain_span, span_id
from tests.query_api.recorded import RUN_ID, failed_run, run
from tests.security.conftest import PROTOBUF, KeyedServer
from tests.waiting import until

_numbers = itertools.count(1)

QUESTIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/api/v1/runs", {}),
    ("GET", "/api/v1/runs", {"params": {"kind": "any", "limit": 1}}),
    ("GET", "/api/v1/runs", {"params": {"kind": "run", "status": "failed"}}),
    ("GET", "/api/v1/runs", {"params": {"status": "incomplete"}}),
    ("GET", "/api/v1/runs", {"params": {"name": "support", "service": "support-bot"}}),
    ("GET", f"/api/v1/runs/{RUN_ID}", {}),
    ("GET", f"/api/v1/runs/{RUN_ID}/checkpoints", {}),
    ("GET", f"/api/v1/runs/{RUN_ID}/state", {}),
    ("GET", f"/api/v1/runs/{RUN_ID}/state", {"params": {"at": "checkpoint:c1", "view": "effective"}}),
    ("POST", f"/api/v1/runs/{RUN_ID}/replay-bundle", {"json": {}}),
    ("GET", f"/api/v1/runs/{RUN_ID}/otlp", {}),
    ("GET", f"/api/v1/traces/{RUN_ID}", {}),
    ("GET", f"/api/v1/traces/{RUN_ID}/messages", {}),
    ("GET", f"/api/v1/traces/{RUN_ID}/spans/{ROOT_ID.hex()}", {}),
    ("GET", "/api/v1/models", {}),
    ("GET", "/api/v1/logs", {}),
    ("GET", "/api/v1/logs", {"params": {"trace_id": RUN_ID}}),
]


@dataclass
class Sender:
    """One project, by its key."""

    keyed: KeyedServer
    project: str
    key: str = field(repr=False)

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        return self.keyed.http.request(method, path, headers={"x-backtrail-key": self.key}, **request)

    def send(self, request: ExportTraceServiceRequest) -> None:
        """Returns when it can be read."""
        headers = PROTOBUF | {"authorization": f"Bearer {self.key}"}
        trace_id = request.resource_spans[0].scope_spans[0].spans[0].trace_id.hex()
        body = request.SerializeToString()
        assert self.keyed.http.post("/v1/traces", content=body, headers=headers).status_code == 200
        until(lambda: self.ask("GET", f"/api/v1/traces/{trace_id}").is_success)

    def send_logs(self, request: ExportLogsServiceRequest) -> None:
        headers = PROTOBUF | {"x-clickhouse-key": self.key}
        answer = self.keyed.http.post("/v1/logs", content=request.SerializeToString(), headers=headers)
        assert answer.status_code == 200
        until(lambda: bool(self.ask("GET", "/api/v1/logs").json()["logs"]))

    def answers(self) -> list[tuple[int, str]]:
        answers = (self.ask(method, path, **request) for method, path, request in QUESTIONS)
        return [(answer.status_code, answer.text) for answer in answers]


@pytest.fixture
def sender(keyed: KeyedServer) -> Iterator[Any]:
    def make() -> Sender:
        project = f"project-{next(_numbers)}"
        keyed.operator.create_project(project)
        return Sender(keyed, project, keyed.operator.create_key(project, "ingest", "read"))

    return make  # type: ignore[return-value]


def marked(spans: list[Span], mark: str) -> ExportTraceServiceRequest:
    """What somebody else might have recorded under the same ids."""
    for span in spans:
        for attribute in span.attributes:
            attribute.value.string_value = attribute.value.string_value.replace("lamp", mark)
        span.attributes.add(key="marked").value.string_value = mark
    return otlp_request(*spans, resource={"service.name": "support-bot", "host.name": mark})


def test_t30_no_answer_changes_by_a_byte_when_another_project_stores_the_same_ids(sender: Any) -> None:
    shop, bank = sender(), sender()
    before_anything = bank.answers()
    shop.send(marked(failed_run(), "lamp-of-the-shop"))
    shop.send_logs(logs_request(log_record("lamp-of-the-shop")))
    alone = shop.answers()
    assert bank.answers() == before_anything

    bank.send(marked([run()], "lamp-of-the-bank"))  # of the same run it has but the root
    bank.send_logs(logs_request(log_record("lamp-of-the-bank", span_id=span_id(3))))

    assert shop.answers() == alone
    assert [status for status, _ in alone] == [200] * len(QUESTIONS)
    told = "".join(text for _, text in bank.answers())
    assert "lamp-of-the-bank" in told
    assert "lamp-of-the-shop" not in told
    assert bank.ask("GET", f"/api/v1/runs/{RUN_ID}").json()["span_count"] == 1
    assert shop.ask("GET", f"/api/v1/runs/{RUN_ID}").json()["span_count"] == 6


def test_t30_the_same_bytes_sent_to_two_projects_are_no_repeat(sender: Any) -> None:
    shop, bank = sender(), sender()
    request = otlp_request(*failed_run())

    shop.send(request)
    bank.send(request)  # returns when they can be read there

    assert shop.answers() == bank.answers()


def test_t30_a_cursor_leads_through_its_own_project_only(sender: Any) -> None:
    shop, bank = sender(), sender()
    for n in range(4):
        owner = (shop, bank)[n % 2]
        owner.send(otlp_request(plain_span(f"of {owner.project}", trace_id=bytes([n + 1] * 16), start=START + n)))
    newest_first = {"kind": "any", "limit": 1}

    cursor = shop.ask("GET", "/api/v1/runs", params=newest_first).json()["next_cursor"]
    next_page = bank.ask("GET", "/api/v1/runs", params=newest_first | {"cursor": cursor}).json()

    assert [run["run_id"] for run in next_page["runs"]] == ["02" * 16]
    assert next_page["next_cursor"] is None


def test_t30_a_request_cannot_say_into_which_project_it_goes(sender: Any) -> None:
    """The envelope that names the project is made of the same bytes: no field of the request may become one of it."""
    shop, bank = sender(), sender()
    sneaked = b"\x0a" + bytes([len(bank.project)]) + bank.project.encode()  # Envelope.project = 1
    trace_id = bytes([7] * 16)
    body = otlp_request(plain_span(trace_id=trace_id)).SerializeToString()

    for around in (body + b"\x7a" + bytes([len(sneaked)]) + sneaked, body):
        answer = shop.keyed.http.post(
            "/v1/traces",
            content=around,
            headers=PROTOBUF | {"x-backtrail-key": shop.key, "x-backtrail-project": bank.project},
            params={"project": bank.project},
        )
        assert answer.status_code == 200
    until(lambda: shop.ask("GET", f"/api/v1/traces/{trace_id.hex()}").is_success)

    assert bank.ask("GET", f"/api/v1/traces/{trace_id.hex()}").status_code == 404
    asked = {"kind": "any", "project": shop.project}
    assert bank.ask("GET", "/api/v1/runs", params=asked).json()["runs"] == []


def test_t30_every_route_that_reads_is_among_the_questions() -> None:
    routes = Routes(create_app(Settings(data=Path("nowhere"))))
    asked = {routes.find(method, path).what for method, path, _ in QUESTIONS}

    assert asked == {route.found.what for route in routes.known if route.found.access == "read"}


# One asks which public prices to look up, and answers nobody; the other the operator, whose spans all are.
SERVERS_OWN = {"names_in_spans", "renormalised_hours"}


@pytest.mark.parametrize("query", sorted(QUERIES.keys() - SERVERS_OWN))
def test_t30_a_query_names_the_project_each_time_it_reads_rows(query: str) -> None:
    reads = re.findall(r"\b(?:FROM|JOIN)\s+(?:spans|contents|logs|erased)\b", QUERIES[query])

    assert QUERIES[query].count("project = {project:String}") == len(reads)

"""The client against a real server that holds a recorded run."""

from collections.abc import Iterator

import httpx
import pytest

from backtrail import Client
from backtrail.errors import ApiError, CheckpointGapError, CheckpointNotFoundError, ServerUnreachableError
from tests.factories import ROOT_ID, otlp_request, plain_span
from tests.query_api.recorded import GAP_ID, RUN_ID
from tests.waiting import until


@pytest.fixture
def client(recorded_server: str) -> Iterator[Client]:
    with Client(recorded_server) as client:
        yield client


def test_runs_are_objects_newest_first(client: Client) -> None:
    page = client.runs(status="failed", limit=1)

    assert [run.status for run in page.runs] == ["failed"]
    assert client.runs(status="failed", cursor=page.next_cursor).runs[0].run_id != page.runs[0].run_id


def test_traces_without_an_agent_are_listed_when_asked_for(recorded_server: str, client: Client) -> None:
    request = otlp_request(plain_span("GET /health", trace_id=b"\x77" * 16)).SerializeToString()
    headers = {"content-type": "application/x-protobuf"}
    httpx.post(f"{recorded_server}/v1/traces", content=request, headers=headers).raise_for_status()

    until(lambda: "GET /health" in [run.name for run in client.runs(kind="any").runs])
    assert "GET /health" not in [run.name for run in client.runs().runs]
    assert {run.name for run in client.runs(kind="run").runs} == {"support"}


def test_a_run_has_its_agents_and_its_tree(client: Client) -> None:
    run = client.run(RUN_ID)

    assert (run.name, run.status, run.input) == ("support", "failed", {"message": "my lamp is broken"})
    assert [agent.name for agent in run.agents] == ["refunds"]
    assert [child.name for child in run.tree.children[0].children] == ["chat plan", "execute_tool pay"]


def test_a_trace_has_every_span_with_its_attributes(client: Client) -> None:
    spans = {span.span_id: span for span in client.trace(RUN_ID).spans}

    assert len(spans) == 6
    assert spans[ROOT_ID.hex()].attributes["backtrail.run.seq_max"] == 8


def test_models_say_what_they_cost_and_by_which_price(client: Client) -> None:
    [model] = client.models()

    assert (model.provider, model.model, model.waiting_count) == ("openai", "gpt-4o-mini", 0)
    assert model.cost_usd == 0.15
    assert model.price is not None
    assert (model.price.source, model.price.input) == ("genai-prices", 0.15)
    assert client.models(start="2099-01-01T00:00:00Z") == []


def test_a_span_says_what_it_cost_in_parts(client: Client) -> None:
    [cost] = [span.cost for span in client.trace(RUN_ID).spans if span.cost_usd is not None]

    assert (cost.input, cost.output, cost.total, cost.source) == (0.15, 0, 0.15, "genai-prices")


def test_state_and_checkpoints_are_told(client: Client) -> None:
    assert [one.name for one in client.list_checkpoints(RUN_ID)] == [None, "planned"]
    assert client.get_state(RUN_ID, at="failure").values == {"run": {"budget": 10, "plan": ["search", "pay"]}}
    assert client.get_state(RUN_ID).values["run"]["budget"] == 0
    assert client.get_state(RUN_ID, view="effective").excluded == ["2" * 32]


def test_what_the_server_refuses_is_raised_in_its_own_words(client: Client) -> None:
    with pytest.raises(ApiError, match=r"no run or trace 0+1 is stored") as unknown:
        client.run("1")
    with pytest.raises(CheckpointNotFoundError, match="no checkpoint c9"):
        client.get_state(RUN_ID, at="checkpoint:c9")
    with pytest.raises(CheckpointGapError, match="number 2 of process c0ffee00"):
        client.get_state(GAP_ID)

    assert unknown.value.status == 404


def test_nobody_at_the_endpoint_is_an_error_of_its_own() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(ServerUnreachableError, match=r"127\.0\.0\.1:9"):
        client.runs()


def test_the_endpoint_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/")
    assert Client().endpoint == "http://collector:4318"

    monkeypatch.setenv("BACKTRAIL_ENDPOINT", "http://backtrail:4318")
    assert Client().endpoint == "http://backtrail:4318"

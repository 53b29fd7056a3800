"""The list of runs and a run's own view tell the same numbers, whatever the spans of the trace look like."""

import os
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from backtrail import semconv
from backtrail_query.nodes import run_with_tree
from backtrail_query.totals import count_calls, sum_agents, sum_run
from backtrail_query.tree import build_tree
from backtrail_query.views import run_view
from backtrail_store import Store
from tests.factories import START, Value, batch_of, otlp_request, plain_span, span_id

KINDS = ["", "", "", "step", "step", "run", "agent", "attempt", "state", "checkpoint", "process"]
SCOPES = ["backtrail", "openinference.instrumentation.langchain", "opentelemetry.instrumentation.openai.v1"]
MODELS = ["", "gpt-4o", "openai/gpt-4o-2024-08-06", "gpt-4o-mini"]
RESPONSES = ["", "chatcmpl-1", "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWx", "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWx"]


@st.composite
def traces(draw: st.DrawFn) -> list[ExportTraceServiceRequest]:
    """A run and spans below it, below each other, below spans that are missing, or in circles; of three scopes."""
    trace_id = os.urandom(16)
    size = draw(st.integers(1, 9))
    ending: dict[str, Value] = {semconv.KIND: "run", semconv.RUN_LOST: draw(st.sampled_from([0, 2]))}
    root = plain_span("run", trace_id=trace_id, id_=span_id(1), attributes=ending)
    spans: dict[str, list[Span]] = {scope: [] for scope in SCOPES}
    for number in range(2, size + 1):
        span = plain_span(
            f"span {number}",
            trace_id=trace_id,
            id_=span_id(number),
            parent_id=span_id(draw(st.integers(1, size + 1))),
            start=START + draw(st.integers(0, 3)),
            duration=draw(st.integers(0, 20)),
            attributes=draw(attributes()),
        )
        if draw(st.booleans()):
            span.status.code = draw(st.sampled_from([Status.STATUS_CODE_OK, Status.STATUS_CODE_ERROR]))
        spans[draw(st.sampled_from(SCOPES))].append(span)
    return [otlp_request(root), *(otlp_request(*of_scope, scope=scope) for scope, of_scope in spans.items())]


@st.composite
def attributes(draw: st.DrawFn) -> dict[str, Value]:
    drawn = {
        semconv.KIND: draw(st.sampled_from(KINDS)),
        semconv.STEP_KIND: draw(st.sampled_from(["llm", "llm", "llm", "", "embedding", "tool"])),
        semconv.GEN_AI_OPERATION_NAME: draw(st.sampled_from(["", "chat", "invoke_agent"])),
        semconv.GEN_AI_REQUEST_MODEL: draw(st.sampled_from(MODELS)),
        semconv.GEN_AI_RESPONSE_MODEL: draw(st.sampled_from(MODELS)),
        semconv.GEN_AI_RESPONSE_ID: draw(st.sampled_from(RESPONSES)),
        semconv.AGENT_KEY: draw(st.sampled_from(["", "a", "b"])),
        semconv.GEN_AI_USAGE_INPUT_TOKENS: draw(st.sampled_from([None, 1, 10])),
        semconv.GEN_AI_USAGE_OUTPUT_TOKENS: draw(st.sampled_from([None, 100])),
        semconv.STEP_COST_USD: draw(st.sampled_from([None, 0.25, 0.5])),
        semconv.STEP_REPLAYED: draw(st.sampled_from([None, None, True])),
        semconv.RUN_LOST: draw(st.sampled_from([None, 3, 40])),
    }
    return {name: value for name, value in drawn.items() if value not in ("", None)}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=traces())
def test_the_list_the_tree_and_the_agents_of_a_run_agree(
    store: Store, requests: list[ExportTraceServiceRequest]
) -> None:
    run_id = requests[0].resource_spans[0].scope_spans[0].spans[0].trace_id.hex()
    store.insert(batch_of(*requests))

    listed = store.reader.get_run("default", run_id)
    assert listed is not None
    tree = build_tree(store.reader.get_outline("default", run_id))
    told = run_with_tree(tree, listed.status)

    assert {name: told[name] for name in run_view(listed)} == run_view(listed)
    nodes = list(walk(told["tree"]))
    assert sum(node["counted"] is True for node in nodes) == listed.llm_calls
    assert sum(node["same_call_as"] is not None for node in nodes) == listed.calls_told_again
    counted = {node["span_id"] for node in nodes if node["counted"]}
    assert {node["same_call_as"] for node in nodes} <= counted | {None}
    calls = count_calls(tree)
    agents = list(sum_agents(tree, calls).values())
    for name, total in sum_run(tree, calls).as_json().items():
        parts = [part for agent in agents if (part := agent.as_json()[name]) is not None]
        assert total == (sum(parts) if parts else None)


def walk(node: Any) -> Iterator[Any]:
    yield node
    for child in node["children"]:
        yield from walk(child)

"""The list of runs and a run's own view tell the same numbers, whatever the spans of the trace look like."""

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from backtrail import semconv
from backtrail_query.nodes import run_with_tree
from backtrail_query.tree import build_tree
from backtrail_query.views import run_view
from backtrail_store import Store
from tests.factories import START, Value, batch_of, otlp_request, plain_span, span_id

KINDS = ["", "run", "agent", "step", "attempt", "state", "checkpoint", "process"]


@st.composite
def traces(draw: st.DrawFn) -> list[Span]:
    """A run and spans below it, below each other, below spans that are missing, or in circles."""
    trace_id = os.urandom(16)
    size = draw(st.integers(1, 9))
    ending: dict[str, Value] = {semconv.KIND: "run", semconv.RUN_LOST: draw(st.sampled_from([0, 2]))}
    spans = [plain_span("run", trace_id=trace_id, id_=span_id(1), attributes=ending)]
    for number in range(2, size + 1):
        attributes = {
            semconv.KIND: draw(st.sampled_from(KINDS)),
            semconv.STEP_KIND: draw(st.sampled_from(["", "llm", "tool"])),
            semconv.GEN_AI_OPERATION_NAME: draw(st.sampled_from(["", "chat", "invoke_agent"])),
            semconv.AGENT_KEY: draw(st.sampled_from(["", "a", "b"])),
            semconv.GEN_AI_USAGE_INPUT_TOKENS: draw(st.sampled_from([None, 1, 10])),
            semconv.GEN_AI_USAGE_OUTPUT_TOKENS: draw(st.sampled_from([None, 100])),
            semconv.STEP_COST_USD: draw(st.sampled_from([None, 0.25, 0.5])),
            semconv.STEP_REPLAYED: draw(st.sampled_from([None, True])),
            semconv.RUN_LOST: draw(st.sampled_from([None, 3, 40])),
        }
        attributes = {name: value for name, value in attributes.items() if value not in ("", None)}
        parent = span_id(draw(st.integers(1, size + 1)))
        span = plain_span(
            f"span {number}",
            trace_id=trace_id,
            id_=span_id(number),
            parent_id=parent,
            start=START + number,
            attributes=attributes,
        )
        if draw(st.booleans()):
            span.status.code = draw(st.sampled_from([Status.STATUS_CODE_OK, Status.STATUS_CODE_ERROR]))
        spans.append(span)
    return spans


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spans=traces())
def test_the_list_and_the_tree_of_a_run_agree(store: Store, spans: list[Span]) -> None:
    run_id = spans[0].trace_id.hex()
    store.insert(batch_of(otlp_request(*spans)))

    listed = store.reader.get_run("default", run_id)
    assert listed is not None
    told = run_with_tree(build_tree(store.reader.get_outline("default", run_id)), listed.status)

    assert {name: told[name] for name in run_view(listed)} == run_view(listed)

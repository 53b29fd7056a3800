"""What each dialect calls what, as it ends up in the columns: every line of the table, sent as a span of its own."""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from backtrail_store import SpanRow, Store
from backtrail_store.conventions.__main__ import MADE
from backtrail_store.conventions.table import Column, Source, conventions
from tests.factories import TRACE_ID, batch_of, otlp_request, plain_span, span_id

NUMBERS = {"input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens"}
NUMBERS |= {"reasoning_output_tokens", "input_audio_tokens", "output_audio_tokens", "reported_cost_usd"}
LISTS = {"tags", "finish_reasons"}
SHOWN = [column for column in conventions().columns if column.name in SpanRow.__dataclass_fields__]


def stored(store: Store, spans: Iterable[tuple[Span, str]]) -> dict[str, SpanRow]:
    """By name. Each comes with the name of its instrumentation scope."""
    request = otlp_request()
    request.resource_spans[0].ClearField("scope_spans")
    for span, scope in spans:
        request.resource_spans[0].scope_spans.add(scope=InstrumentationScope(name=scope), spans=[span])
    store.insert(batch_of(request))
    return {row.name: row for row in store.reader.get_trace("default", TRACE_ID.hex())}


def row(store: Store, attributes: dict[str, Any], *, scope: str = "test", name: str = "work") -> SpanRow:
    return stored(store, [(plain_span(name, attributes=attributes), scope)])[name]


def scope_of(source: Source) -> str:
    """A bare word counts in its dialect's own scope only."""
    if not source.is_bare:
        return "test"
    dialect = next(dialect for dialect in conventions().dialects if dialect.key == source.dialect)
    return dialect.scopes[0].replace("*", "tracing")


def test_every_line_of_the_table_fills_its_column(store: Store) -> None:
    lines = [(column, source) for column in SHOWN for source in column.sources]
    spans = [
        (plain_span(f"{number}", id_=span_id(number), attributes={source.attribute: str(number)}), scope_of(source))
        for number, (_, source) in enumerate(lines, 1)
    ]

    rows = stored(store, spans)

    for number, (column, source) in enumerate(lines, 1):
        wanted: Any = number if column.name in NUMBERS else str(number)
        wanted = [wanted] if column.name in LISTS else wanted
        assert getattr(rows[str(number)], column.name) == wanted, (column.name, source)
        assert rows[str(number)].attributes[source.attribute] == str(number)


@pytest.mark.parametrize("column", SHOWN, ids=lambda column: column.name)
def test_of_two_attributes_the_earlier_line_counts_in_whatever_order_they_came(store: Store, column: Column) -> None:
    sources = [source for source in column.sources if not source.is_bare]
    pairs = list(pairwise(sources))
    spans = [
        (plain_span(f"{n}", id_=span_id(n), attributes={later.attribute: "2", earlier.attribute: "1"}), "test")
        for n, (earlier, later) in enumerate(pairs, 1)
    ]
    if not pairs:
        return

    rows = stored(store, spans)

    first = "['1']" if column.name in LISTS else "1"
    assert [str(getattr(each, column.name)).removesuffix(".0") for each in rows.values()] == [first] * len(pairs)


def test_an_attribute_stands_in_one_line() -> None:
    attributes = [source.attribute for _, _, source in conventions().ranked()]

    assert sorted(attributes) == sorted(set(attributes))


def test_every_value_of_the_table_says_what_a_span_does(store: Store) -> None:
    lines = [(rule.source, value, kind) for rule in conventions().step_kind for value, kind in rule.values.items()]
    spans = [
        (plain_span(f"{number}", id_=span_id(number), attributes={source.attribute: value}), "test")
        for number, (source, value, _) in enumerate(lines, 1)
    ]

    rows = stored(store, spans)

    for number, (_, value, kind) in enumerate(lines, 1):
        assert rows[str(number)].step_kind == ("" if kind == "span" else kind), value


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"openinference.span.kind": "UNKNOWN", "gen_ai.operation.name": "chat"}, "llm"),
        ({"langsmith.span.kind": "prompt", "gen_ai.operation.name": "chat"}, "prompt"),
        ({"span.type": "tool.execution", "gen_ai.tool.call.id": "call-1"}, ""),
        ({"mlflow.spanType": '"CHAT_MODEL"'}, "llm"),
        ({"ai.operationId": "ai.generateText.doGenerate my-function"}, "llm"),
        ({"gen_ai.operation.name": "something new", "gen_ai.tool.name": "search"}, "tool"),
        ({"gen_ai.request.model": "gpt-4o"}, "llm"),
        ({"backtrail.step.kind": "tool", "openinference.span.kind": "LLM"}, "tool"),
        ({"model": "sedan", "input_tokens": 7}, ""),
    ],
)
def test_what_a_span_does_is_found_by_the_first_rule_that_says_so(
    store: Store, attributes: dict[str, Any], kind: str
) -> None:
    assert row(store, attributes).step_kind == kind


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("OpenAI", "openai"),
        ("openai.chat", "openai"),
        ("anthropic.messages", "anthropic"),
        ("google.generative-ai", "gcp.gen_ai"),
        ("google.vertex", "gcp.vertex_ai"),
        ("az.ai.openai", "azure.ai.openai"),
        ("aws.bedrock", "aws.bedrock"),
        ("our.own", "our.own"),
        ("Ours", "Ours"),
    ],
)
def test_a_provider_has_the_name_that_opentelemetry_gives_it(store: Store, said: str, name: str) -> None:
    assert row(store, {"gen_ai.system": said}).provider_name == name


def test_a_framework_that_names_itself_is_no_provider(store: Store) -> None:
    assert row(store, {"gen_ai.system": "langchain", "llm.provider": "openai"}).provider_name == "openai"


@pytest.mark.parametrize(
    ("attributes", "scope", "tokens"),
    [
        ({"gen_ai.usage.input_tokens": 100, "gen_ai.usage.cache_read.input_tokens": 60}, "test", (100, None)),
        ({"gen_ai.usage.input_tokens": 10, "gen_ai.usage.cache_read.input_tokens": 60}, "test", (70, None)),
        ({"input_tokens": 100, "cache_read_tokens": 60}, "com.anthropic.claude_code.tracing", (160, None)),
        ({"llm.token_count.total": 30, "llm.token_count.prompt": 20}, "test", (20, 10)),
        ({"llm.token_count.total": 30, "llm.token_count.completion": 20}, "test", (10, 20)),
        ({"llm.token_count.total": 30}, "test", (None, None)),
        ({"gen_ai.usage.input_tokens": "12"}, "test", (12, None)),
        ({"gen_ai.usage.input_tokens": 12.0}, "test", (12, None)),
        ({"gen_ai.usage.input_tokens": "many"}, "test", (None, None)),
        ({"gen_ai.usage.input_tokens": -1}, "test", (None, None)),
    ],
)
def test_input_has_the_cached_tokens_in_it_whoever_counts(
    store: Store, attributes: dict[str, Any], scope: str, tokens: tuple[int | None, int | None]
) -> None:
    said = row(store, attributes, scope=scope)

    assert (said.input_tokens, said.output_tokens) == tokens


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"input": 40, "output": 9, "total": 49}, (40, 9, None, None)),
        ({"input": 40, "cache_read_input_tokens": 60, "output": 9, "total": 109}, (100, 9, 60, None)),
        ({"input": 100, "input_cached_tokens": 60, "output": 9, "total": 109}, (100, 9, 60, None)),
        ({"input": 40, "cache_read_input_tokens": 60, "output": 9}, (100, 9, 60, None)),
        ({"input": 40, "output": 9, "output_reasoning_tokens": 5}, (40, 14, None, 5)),
        ({"input": 40, "output": 9, "output_reasoning_tokens": 5, "total": 49}, (40, 9, None, 5)),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 14,
                "total_tokens": 114,
                "prompt_tokens_details": {"cached_tokens": 60},
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            (100, 14, 60, 5),
        ),
    ],
)
def test_langfuse_counts_each_token_under_one_name_or_as_the_provider_does(
    store: Store, usage: dict[str, Any], tokens: tuple[int | None, ...]
) -> None:
    said = row(store, {"langfuse.observation.usage_details": json.dumps(usage)})

    seen = (said.input_tokens, said.output_tokens, said.cache_read_input_tokens, said.reasoning_output_tokens)
    assert seen == tokens


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "langsmith.usage_metadata": json.dumps(
                {"input_tokens": 100, "output_tokens": 9, "input_token_details": {"cache_read": 60}}
            )
        },
        {
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 9,
            "gen_ai.usage.input_token_details": "{'cache_read': 60}",
        },
        {
            "mlflow.chat.tokenUsage": json.dumps(
                {"input_tokens": 100, "output_tokens": 9, "total_tokens": 109, "cache_read_input_tokens": 60}
            )
        },
        {
            "ai.usage.promptTokens": '{"intValue":40}',
            "ai.usage.completionTokens": '{"intValue":9}',
            "ai.response.providerMetadata": json.dumps({"anthropic": {"usage": {"cache_read_input_tokens": 60}}}),
        },
        {"input_tokens": {"n": 1}, "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 9}
        | {"gen_ai.usage.cache_read.input_tokens": 60},
    ],
    ids=["LangSmith", "LangSmith in Python", "MLflow", "Vercel", "OpenTelemetry"],
)
def test_usage_that_stands_in_json_objects_is_read_as_any_other(store: Store, attributes: dict[str, Any]) -> None:
    said = row(store, attributes)

    assert (said.input_tokens, said.output_tokens, said.cache_read_input_tokens) == (100, 9, 60)


@pytest.mark.parametrize(
    ("details", "written"),
    [
        ({"cache_creation": 0, "ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 4}, 14),
        ({"cache_creation": 14, "ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 4}, 14),
        ({"cache_creation": 14}, 14),
        ({"ephemeral_1h_input_tokens": 4}, 4),
        ({"cache_read": 3}, None),
    ],
)
def test_what_was_written_to_the_cache_for_a_time_is_written_and_not_more_than_that(
    store: Store, details: dict[str, int], written: int | None
) -> None:
    usage = {"input_tokens": 100, "output_tokens": 9, "input_token_details": details}

    assert row(store, {"langsmith.usage_metadata": json.dumps(usage)}).cache_write_input_tokens == written


def test_agents_and_tools_of_langfuse_are_named_by_their_spans(store: Store) -> None:
    tool = row(store, {"langfuse.observation.type": "tool"}, name="look_up")
    agent = row(store, {"langfuse.observation.type": "agent"}, name="support")
    other = row(store, {"openinference.span.kind": "TOOL"}, name="work")

    assert (tool.tool_name, agent.agent_name, other.tool_name) == ("look_up", "support", "")


def test_the_model_that_openinference_was_asked_for_is_among_its_parameters(store: Store) -> None:
    said = row(store, {"llm.invocation_parameters": '{"model": "gpt-5", "n": 1}', "llm.model_name": "gpt-5-2025-08-07"})

    assert (said.request_model, said.response_model) == ("gpt-5", "gpt-5-2025-08-07")
    assert row(store, {"llm.model_name": "gpt-5"}).request_model == "gpt-5"


@pytest.mark.parametrize("text", ["{", "[]", '{"input": {"input": {}}}', "{'input'", '"', '{"input": "many"}', "null"])
def test_what_should_be_an_object_and_is_none_says_nothing(store: Store, text: str) -> None:
    said = row(store, {"langfuse.observation.usage_details": text, "gen_ai.usage.output_tokens": 9})

    assert (said.input_tokens, said.output_tokens) == (None, 9)


def test_an_object_too_long_for_the_light_columns_is_read_too(store: Store) -> None:
    usage = {"input": 40, "output": 9, "note": "x" * 2000}

    assert row(store, {"langfuse.observation.usage_details": json.dumps(usage)}).input_tokens == 40


@pytest.mark.parametrize(
    ("attributes", "scope"),
    [
        ({"gen_ai.response.time_to_first_chunk": 0.25}, "test"),
        ({"ai.response.msToFirstChunk": 250}, "test"),
        ({"ttft_ms": "250"}, "com.anthropic.claude_code.tracing"),
        ({"langfuse.observation.completion_start_time": '"2026-09-21T14:13:20.250Z"'}, "test"),
        ({"langfuse.observation.completion_start_time": '"\\"2026-09-21T14:13:20.250000+00:00\\""'}, "test"),
    ],
)
def test_the_time_to_the_first_token_is_in_nanoseconds_whatever_the_unit(
    store: Store, attributes: dict[str, Any], scope: str
) -> None:
    assert row(store, attributes, scope=scope).time_to_first_token_ns == 250_000_000


def test_a_time_to_the_first_token_that_is_no_time_is_none(store: Store) -> None:
    for attributes in ({"langfuse.observation.completion_start_time": "soon"}, {"ai.response.msToFirstChunk": "-3"}):
        assert row(store, attributes).time_to_first_token_ns is None


@pytest.mark.parametrize(
    ("attributes", "reasons"),
    [
        ({"gen_ai.response.finish_reasons": ["tool_calls", "stop"]}, ["tool_call", "stop"]),
        ({"gen_ai.response.finish_reasons": "end_turn, tool_use"}, ["stop", "tool_call"]),
        ({"ai.response.finishReason": "tool-calls"}, ["tool_call"]),
        ({"gen_ai.response.finish_reasons": "[broken"}, []),
    ],
)
def test_why_a_model_stopped_has_one_name_in_every_dialect(
    store: Store, attributes: dict[str, Any], reasons: list[str]
) -> None:
    assert row(store, attributes).finish_reasons == reasons


def test_what_an_agent_says_its_calls_have_used_together_is_not_its_own_usage(store: Store) -> None:
    attributes = {"gen_ai.aggregated_usage.input_tokens": 7, "gen_ai.usage.details.input_tokens": 7}

    assert row(store, attributes).input_tokens is None


def test_logfires_pending_span_is_the_real_ones_until_that_one_comes(store: Store) -> None:
    pending = {"logfire.span_type": "pending_span", "logfire.pending_parent_id": "0" * 16}
    real = span_id(7)
    first = plain_span("ask", id_=span_id(8), parent_id=real, attributes=pending)
    first.end_time_unix_nano = first.start_time_unix_nano

    open_ = stored(store, [(first, "logfire")])["ask"]
    ended = stored(store, [(plain_span("ask", id_=real), "logfire"), (first, "logfire")])["ask"]

    assert (open_.span_id, open_.parent_span_id, open_.is_pending) == (real.hex(), "", True)
    assert (ended.span_id, ended.parent_span_id, ended.is_pending) == (real.hex(), "", False)
    assert len(store.reader.get_trace("default", TRACE_ID.hex())) == 1


@pytest.mark.parametrize(
    ("attributes", "scope", "dialect"),
    [
        ({"gen_ai.request.model": "m"}, "my tracer", "otel"),
        ({"gen_ai.request.model": "m", "openinference.span.kind": "LLM"}, "my tracer", "openinference"),
        ({"gen_ai.request.model": "m"}, "openinference.instrumentation.openai", "openinference"),
        ({"traceloop.span.kind": "task"}, "opentelemetry.instrumentation.langchain", "openllmetry"),
        ({"http.route": "/ask"}, "my tracer", ""),
        ({"model": "sedan"}, "my tracer", ""),
        ({"session.id": "s", "user.id": "u", "error.type": "500"}, "my tracer", ""),
        ({"session.id": "s", "gen_ai.operation.name": "chat"}, "my tracer", "otel"),
    ],
)
def test_a_spans_dialect_is_that_of_its_scope_or_of_its_attributes(
    store: Store, attributes: dict[str, Any], scope: str, dialect: str
) -> None:
    assert row(store, attributes, scope=scope).dialect == dialect


def test_agents_and_tools_are_named_by_what_the_span_is_called_if_nothing_else_says_so(store: Store) -> None:
    agent = row(store, {"gen_ai.operation.name": "invoke_agent"}, name="invoke_agent planner")
    tool = row(store, {"traceloop.span.kind": "tool", "traceloop.entity.name": "search"}, name="search.tool")

    assert (agent.agent_name, agent.tool_name) == ("planner", "")
    assert (tool.agent_name, tool.tool_name) == ("", "search")


@pytest.mark.parametrize("path", MADE, ids=lambda path: path.name)
def test_what_is_made_of_the_table_is_up_to_date(path: Any) -> None:
    assert path.read_text() == MADE[path](), "run `make conventions`"

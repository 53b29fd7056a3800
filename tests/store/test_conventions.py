"""What each dialect calls what, as it ends up in the columns: every line of the table, sent as a span of its own."""

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
NUMBERS |= {"reasoning_output_tokens", "reported_cost_usd"}
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
        wanted = number if column.name in NUMBERS else str(number)
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

    assert [str(getattr(each, column.name)).removesuffix(".0") for each in rows.values()] == ["1"] * len(pairs)


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

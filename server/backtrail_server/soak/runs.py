"""One deterministic run: a seed and a number are all it is made of.

    **runs** → delivery → (OTLP) → server → reading → comparison with **runs**

It has what reading may get wrong: several agents, chat histories that repeat their messages, usage and cost, failures,
events, every type of attribute, and a pending row for whatever has an end.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from backtrail import semconv
from backtrail_query.otlp.otlp_protobuf import key_values

Value = str | bool | int | float | Sequence[str]

MILLISECOND = 1_000_000
RUN_MILLISECONDS = 200  # from the start of one run to the start of the next
FAILING = 0.08
WORDS = ("lamp", "refund", "order", "Grüße", "漢字", "broken", "parcel", "invoice", "🙂", "return", "tomorrow", "paid")
NAMES = ("support", "research", "triage")
MODELS = (("openai", "gpt-4o-mini"), ("anthropic", "claude-sonnet-4-5"))


@dataclass(frozen=True, slots=True)
class SoakRun:
    """`spans` as they have to be read back, `pending` what stood for some of them before they ended."""

    number: int
    trace_id: bytes
    name: str
    conversation_id: str
    start_time_unix_nano: int
    spans: tuple[Span, ...]
    pending: tuple[Span, ...]

    @property
    def id(self) -> str:
        return self.trace_id.hex()

    @property
    def failed(self) -> bool:
        return bool(self.spans[0].status.code == Status.STATUS_CODE_ERROR)


def make_run(seed: int, number: int, *, began_unix_nano: int) -> SoakRun:
    """The same seed on another day says the same under other ids, so that it may go into the same store."""
    ids = Random(f"{seed}:{number}:{began_unix_nano}")
    return _Writer(Random(f"{seed}:{number}"), ids, number, began_unix_nano).run()


class _Writer:
    """Makes a run span by span; the order of its draws is part of what the seed means."""

    def __init__(self, rnd: Random, ids: Random, number: int, began_unix_nano: int) -> None:
        self._rnd = rnd
        self._ids = ids
        self._number = number
        self._start = began_unix_nano + number * RUN_MILLISECONDS * MILLISECOND
        self._clock = self._start
        self._trace_id = ids.randbytes(16)
        self._conversation = f"c{rnd.randrange(10**6)}"
        self._history: list[object] = []
        self._spans: list[Span] = []
        self._pending: list[Span] = []

    def run(self) -> SoakRun:
        name, root_id, query = self._rnd.choice(NAMES), self._ids.randbytes(8), self._text(6)
        self._query = query
        for _ in range(self._rnd.randint(1, 3)):
            self._agent(root_id)
        failed = any(span.status.code == Status.STATUS_CODE_ERROR for span in self._spans)
        attributes: dict[str, Value] = {
            semconv.KIND: "run",
            semconv.RUN_NAME: name,
            semconv.RUN_STATUS: "failed" if failed else "completed",
            semconv.RUN_INPUT: json.dumps({"query": query}),
            semconv.RUN_RESULT: json.dumps(self._text(30)),
        }
        self._span(name, root_id, b"", self._start, attributes, failed=failed)
        self._spans.insert(0, self._spans.pop())
        return SoakRun(
            self._number,
            self._trace_id,
            name,
            self._conversation,
            self._start,
            tuple(self._spans),
            tuple(self._pending),
        )

    def _agent(self, parent_id: bytes) -> None:
        name, id_, start = f"agent-{self._rnd.randrange(4)}", self._ids.randbytes(8), self._tick()
        for _ in range(self._rnd.randint(1, 4)):
            self._model_call(id_)
            if self._rnd.random() < 0.7:
                self._tool_call(id_)
        attributes: dict[str, Value] = {
            semconv.KIND: "agent",
            semconv.GEN_AI_OPERATION_NAME: "invoke_agent",
            semconv.GEN_AI_AGENT_NAME: name,
            semconv.AGENT_NAME: name,
            semconv.AGENT_STATUS: "completed",
            semconv.TASK_CHAIN: ["plan", name],
        }
        self._span(f"invoke_agent {name}", id_, parent_id, start, attributes)

    def _model_call(self, parent_id: bytes) -> None:
        provider, model = self._rnd.choice(MODELS)
        self._history.append({"role": "user", "parts": [{"type": "text", "content": self._text(40)}]})
        answer = {"role": "assistant", "parts": [{"type": "text", "content": self._text(50)}]}
        attributes: dict[str, Value] = {
            semconv.KIND: "step",
            semconv.STEP_KIND: "llm",
            semconv.STEP_NAME: "chat",
            semconv.STEP_STATUS: "completed",
            semconv.GEN_AI_OPERATION_NAME: "chat",
            semconv.GEN_AI_PROVIDER_NAME: provider,
            semconv.GEN_AI_REQUEST_MODEL: model,
            semconv.GEN_AI_RESPONSE_MODEL: model,
            semconv.GEN_AI_USAGE_INPUT_TOKENS: self._rnd.randint(1, 100_000),
            semconv.GEN_AI_USAGE_OUTPUT_TOKENS: self._rnd.randint(1, 5_000),
            semconv.GEN_AI_USAGE_COST: self._rnd.randint(1, 4096) / 4096,  # sums of these are exact
            semconv.GEN_AI_INPUT_MESSAGES: json.dumps(self._history),
            semconv.GEN_AI_OUTPUT_MESSAGES: json.dumps([answer]),
        }
        self._span(f"chat {model}", self._ids.randbytes(8), parent_id, self._tick(), attributes)
        self._history.append(answer)

    def _tool_call(self, parent_id: bytes) -> None:
        failed = self._rnd.random() < FAILING
        attributes: dict[str, Value] = {
            semconv.KIND: "step",
            semconv.STEP_KIND: "tool",
            semconv.STEP_NAME: "search",
            semconv.STEP_STATUS: "failed" if failed else "completed",
            semconv.GEN_AI_OPERATION_NAME: "execute_tool",
            semconv.GEN_AI_TOOL_NAME: "search",
            semconv.GEN_AI_TOOL_CALL_ARGUMENTS: json.dumps({"q": self._text(4)}),
            semconv.GEN_AI_TOOL_CALL_RESULT: self._text(60),
            "soak.large": self._rnd.randint(2**53, 2**63 - 1),
            "soak.ratio": self._rnd.randint(1, 1000) / 8,
            "soak.flag": self._rnd.random() < 0.5,
            "soak.list": self._text(3).split(),
        }
        if failed:
            attributes[semconv.ERROR_TYPE] = "TimeoutError"
        span = self._span(
            "execute_tool search", self._ids.randbytes(8), parent_id, self._tick(), attributes, failed=failed
        )
        span.events.add(
            name="found",
            time_unix_nano=span.start_time_unix_nano,
            attributes=key_values({"hits": self._rnd.randrange(9)}),
        )

    def _span(
        self,
        name: str,
        id_: bytes,
        parent_id: bytes,
        start: int,
        attributes: Mapping[str, Value],
        *,
        failed: bool = False,
    ) -> Span:
        common: dict[str, Value] = {semconv.QUERY: self._query, semconv.GEN_AI_CONVERSATION_ID: self._conversation}
        kind = attributes[semconv.KIND]
        if kind in ("run", "agent"):
            stands_for: dict[str, Value] = {
                semconv.KIND: "pending",
                semconv.PENDING_KIND: kind,
                semconv.PENDING_OF: id_.hex(),
                semconv.PENDING_PARENT: (parent_id or bytes(8)).hex(),
            }
            self._pending.append(self._row(name, self._ids.randbytes(8), id_, start, start, {**common, **stands_for}))
        span = self._row(name, id_, parent_id, start, self._tick(), {**common, **attributes})
        if failed:
            span.status.code, span.status.message = Status.STATUS_CODE_ERROR, "it took too long"
        self._spans.append(span)
        return span

    def _row(
        self, name: str, id_: bytes, parent_id: bytes, start: int, end: int, attributes: Mapping[str, Value]
    ) -> Span:
        return Span(
            trace_id=self._trace_id,
            span_id=id_,
            parent_span_id=parent_id,
            name=name,
            kind=Span.SPAN_KIND_INTERNAL,
            start_time_unix_nano=start,
            end_time_unix_nano=end,
            attributes=key_values(attributes),
        )

    def _tick(self) -> int:
        self._clock += self._rnd.randint(1, 4) * MILLISECOND
        return self._clock

    def _text(self, words: int) -> str:
        return " ".join(self._rnd.choice(WORDS) for _ in range(words))


def plain_value(value: AnyValue) -> object:
    """As the API's JSON shows it."""
    if value.HasField("array_value"):
        return [element.string_value for element in value.array_value.values]
    return getattr(value, value.WhichOneof("value") or "string_value")

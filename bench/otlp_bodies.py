"""Request bodies like those of a fleet of agents, the same for everybody: 22 spans a run, 23 runs a request.

Each run has three agents of three turns; every turn is a model call and a tool call, and the chat history grows within
the run. `full` bodies carry the messages (about 3 KB a span), `light` ones do not (about 650 bytes). One seed makes
them all, in this order: 8,000 words, 20 full bodies, 20 light ones.
"""

import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

from tests.factories import key_values

SEED = 7
BODIES = 20
RUNS_PER_BODY = 23
SPANS_PER_BODY = 22 * RUNS_PER_BODY
LETTERS = "abcdefghijklmnopqrstuvwxyz"
MILLISECOND = 1_000_000
SECOND = 1_000 * MILLISECOND

Kind = Literal["full", "light", "stock", "stock-gzip"]
KINDS: tuple[Kind, ...] = ("full", "light", "stock", "stock-gzip")
Value = str | bool | int | float | list[str]
RESOURCE: dict[str, Value] = {
    "service.name": "support-bot",
    "service.version": "1.2.3",
    "deployment.environment.name": "prod",
    "telemetry.sdk.language": "python",
    "host.name": "h1",
}


@dataclass(frozen=True, slots=True)
class Body:
    """One request as it travels, and the trace ids by which other requests can be made of it."""

    content: bytes
    trace_ids: list[bytes]

    def with_new_ids(self, rnd: random.Random) -> bytes:
        """The same runs under ids nobody has seen, for a sender that needs more bodies than there are."""
        content = self.content
        for trace_id in self.trace_ids:
            new = rnd.randbytes(16)
            content = content.replace(trace_id, new).replace(trace_id.hex().encode(), new.hex().encode())
        return content


@dataclass(slots=True)
class Writer:
    """Invents runs and writes them down as spans; the order of its draws is what makes the bodies equal everywhere."""

    rnd: random.Random
    words: list[str]
    with_messages: bool
    scope_spans: ScopeSpans
    start: int
    trace_id: bytes = b""
    common: dict[str, Value] = field(default_factory=dict)
    history: list[object] = field(default_factory=list)

    def text(self, length: int) -> str:
        return " ".join(self.rnd.choice(self.words) for _ in range(length))

    def run(self) -> None:
        self.trace_id, root_id, query = self.rnd.randbytes(16), self.rnd.randbytes(8), self.text(12)
        self.history = []
        self.common = {
            "backtrail.run.id": self.trace_id.hex(),
            "backtrail.query": query,
            "user.id": f"u{self.rnd.randint(0, 500)}",
            "gen_ai.conversation.id": f"c{self.rnd.randint(0, 5000)}",
        }
        self.span(
            "handle", b"", root_id, 0, 5 * SECOND, {"backtrail.kind": "run", "backtrail.depth": 0, "input": query}
        )
        for depth in range(3):
            self.agent(root_id, depth)

    def agent(self, root_id: bytes, depth: int) -> None:
        attributes: dict[str, Value] = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": f"agent{depth}",
            "backtrail.kind": "agent",
            "backtrail.depth": depth,
            "backtrail.task.chain": ["t0", "t1"][:depth],
        }
        agent_id = self.rnd.randbytes(8)
        self.span(f"agent{depth}", root_id, agent_id, depth * SECOND, SECOND, attributes)
        for turn in range(3):
            self.model_call(agent_id, depth * SECOND + turn * 100 * MILLISECOND)
            self.tool_call(agent_id)

    def model_call(self, agent_id: bytes, offset: int) -> None:
        self.history.append({"role": "user", "parts": [{"type": "text", "content": self.text(60)}]})
        answer = {"role": "assistant", "parts": [{"type": "text", "content": self.text(80)}]}
        duration = self.rnd.randint(100 * MILLISECOND, 3 * SECOND)
        attributes: dict[str, Value] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-5",
            "gen_ai.response.model": "gpt-5",
            "gen_ai.usage.input_tokens": self.rnd.randint(100, 9000),
            "gen_ai.usage.output_tokens": self.rnd.randint(10, 900),
            "gen_ai.request.temperature": 0.2,
            "backtrail.kind": "step",
            "backtrail.step.kind": "llm",
            "backtrail.step.input_hash": self.rnd.randbytes(16).hex(),
        }
        if self.with_messages:
            attributes["gen_ai.input.messages"] = json.dumps(self.history)
            attributes["gen_ai.output.messages"] = json.dumps([answer])
        self.span("chat gpt-5", agent_id, self.rnd.randbytes(8), offset, duration, attributes)
        self.history.append(answer)

    def tool_call(self, agent_id: bytes) -> None:
        attributes: dict[str, Value] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "search",
            "backtrail.kind": "step",
            "gen_ai.tool.call.arguments": json.dumps({"q": self.text(5)}),
            "gen_ai.tool.call.result": self.text(40),
        }
        status = 2 if self.rnd.random() < 0.02 else 1
        self.span("execute_tool search", agent_id, self.rnd.randbytes(8), 0, 10 * MILLISECOND, attributes, status)

    def span(
        self,
        name: str,
        parent_id: bytes,
        span_id: bytes,
        offset: int,
        duration: int,
        attributes: Mapping[str, Value],
        status: int = 0,
    ) -> None:
        span = self.scope_spans.spans.add(
            trace_id=self.trace_id, span_id=span_id, parent_span_id=parent_id, name=name, kind=1
        )
        span.start_time_unix_nano = self.start + offset
        span.end_time_unix_nano = self.start + offset + duration
        span.attributes.extend(key_values({**self.common, **attributes}))
        span.status.code = status  # type: ignore[assignment]


def make_bodies(kind: Kind) -> list[Body]:
    """`stock` bodies hold the spans of the full ones as OpenTelemetry's own exporter would send them."""
    rnd = random.Random(SEED)
    words = ["".join(rnd.choice(LETTERS) for _ in range(rnd.randint(2, 10))) for _ in range(8000)]
    full = [make_body(rnd, words, with_messages=True) for _ in range(BODIES)]
    match kind:
        case "full":
            return full
        case "light":
            return [make_body(rnd, words, with_messages=False) for _ in range(BODIES)]
        case "stock" | "stock-gzip":
            from bench.stock_bodies import as_stock_exporter

            return [Body(as_stock_exporter(body.content), body.trace_ids) for body in full]


def make_body(rnd: random.Random, words: list[str], *, with_messages: bool) -> Body:
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values(RESOURCE))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name, scope_spans.scope.version = "backtrail", "0.1"
    writer = Writer(rnd, words, with_messages, scope_spans, time.time_ns())
    trace_ids = []
    for _ in range(RUNS_PER_BODY):
        writer.run()
        trace_ids.append(writer.trace_id)
    return Body(request.SerializeToString(), trace_ids)

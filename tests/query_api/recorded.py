"""A recorded run for tests: a customer asks, a step writes state, another fails. Made of OTLP spans."""

import json
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from backtrail import semconv
from backtrail.canonical import value_hash
from tests.factories import ROOT_ID, START, TRACE_ID, Attributes, plain_span, span_id

RUN_ID = TRACE_ID.hex()
GAP_ID = "6" * 32
MILLISECOND = 1_000_000
AGENT_KEY = "a" * 32


def write(seq: int, key: str, value: Any, prev: Any = None, *, scope: str = "run") -> dict[str, Any]:
    prev_hash = None if prev is None else value_hash(prev)
    op = {"op": "set", "key": key, "value": value, "prev": prev_hash, "hash": value_hash(value)}
    return {"seq": seq, "scope": scope, "ops": [op]}


def span(
    number: int, name: str, kind: str, attributes: dict[str, Any], *, parent: bytes = ROOT_ID, **fields: Any
) -> Span:
    fields.setdefault("start", START + number * MILLISECOND)
    fields.setdefault("duration", MILLISECOND)
    own = {semconv.KIND: kind, semconv.PROCESS: "c0ffee00", semconv.NUMBER: number, **attributes}
    return plain_span(name, id_=span_id(number), parent_id=parent, attributes=own, **fields)


def failed_run() -> list[Span]:
    """seq 0 first snapshot, 1-3 plan, 4 checkpoint, 5-7 pay (fails). Numbers in the order in which spans end."""
    return [first_snapshot(), plan_step(), checkpoint(), pay_step(), agent(), run()]


def first_snapshot() -> Span:
    attributes = {
        semconv.CHECKPOINT_ID: "c0",
        semconv.CHECKPOINT_VALUES: json.dumps({"run": {"budget": 10}}),
        semconv.CHECKPOINT_SEQ: 0,
        semconv.CHECKPOINT_AUTO: True,
    }
    return span(1, "checkpoint", "checkpoint", attributes, duration=0)


def plan_step() -> Span:
    attributes = {
        semconv.STEP_KEY: "1" * 32,
        semconv.STEP_NAME: "plan",
        semconv.STEP_KIND: "llm",
        semconv.STEP_STATUS: "completed",
        semconv.STEP_SEQ_START: 1,
        semconv.STEP_SEQ_END: 3,
        semconv.STEP_DELTAS: json.dumps([write(2, "plan", ["search", "pay"])]),
        semconv.STEP_RESULT: json.dumps("search, then pay"),
        semconv.AGENT_KEY: AGENT_KEY,
        semconv.GEN_AI_OPERATION_NAME: "chat",
        semconv.GEN_AI_PROVIDER_NAME: "openai",
        semconv.GEN_AI_REQUEST_MODEL: "gpt-4o-mini",
        semconv.GEN_AI_USAGE_INPUT_TOKENS: 1_000_000,
        semconv.GEN_AI_USAGE_OUTPUT_TOKENS: 0,
    }
    return span(2, "chat plan", "step", attributes, parent=span_id(5))


def checkpoint() -> Span:
    attributes = {
        semconv.CHECKPOINT_ID: "c1",
        semconv.CHECKPOINT_NAME: "planned",
        semconv.CHECKPOINT_VALUES: json.dumps({"run": {"budget": 10, "plan": ["search", "pay"]}}),
        semconv.CHECKPOINT_AFTER_STEP_KEY: "1" * 32,
        semconv.CHECKPOINT_SEQ: 4,
        semconv.CHECKPOINT_AUTO: False,
    }
    return span(3, "checkpoint planned", "checkpoint", attributes, duration=0)


def pay_step() -> Span:
    attributes = {
        semconv.STEP_KEY: "2" * 32,
        semconv.STEP_NAME: "pay",
        semconv.STEP_KIND: "tool",
        semconv.STEP_STATUS: "failed",
        semconv.STEP_SEQ_START: 5,
        semconv.STEP_SEQ_END: 7,
        semconv.STEP_DELTAS: json.dumps([write(6, "budget", 0, 10)]),
        semconv.AGENT_KEY: AGENT_KEY,
        semconv.ERROR_TYPE: "TimeoutError",
    }
    return as_failed(span(4, "execute_tool pay", "step", attributes, parent=span_id(5)))


def agent() -> Span:
    attributes = {
        semconv.AGENT_KEY: AGENT_KEY,
        semconv.AGENT_NAME: "refunds",
        semconv.AGENT_PATH: '[["refunds",0]]',
        semconv.AGENT_STATUS: "failed",
        semconv.GEN_AI_AGENT_NAME: "refunds",
        semconv.GEN_AI_OPERATION_NAME: "invoke_agent",
    }
    return as_failed(span(5, "invoke_agent refunds", "agent", attributes, start=START + MILLISECOND))


def run() -> Span:
    attributes: Attributes = {
        semconv.KIND: "run",
        semconv.PROCESS: "c0ffee00",
        semconv.NUMBER: 6,
        semconv.RUN_NAME: "support",
        semconv.RUN_STATUS: "failed",
        semconv.RUN_INPUT: json.dumps({"message": "my lamp is broken"}),
        semconv.RUN_ERROR: json.dumps({"type": "TimeoutError", "message": "the bank does not answer"}),
        semconv.RUN_FAILED_STEP_KEY: "2" * 32,
        semconv.RUN_SEQ_MAX: 8,
        semconv.RUN_NUMBER_MAX: 6,
        semconv.QUERY: "my lamp is broken",
        semconv.ERROR_TYPE: "TimeoutError",
    }
    return as_failed(plain_span("support", attributes=attributes))


def as_failed(span: Span) -> Span:
    span.status.code = Status.STATUS_CODE_ERROR
    span.status.message = "the bank does not answer"
    return span


def pending_run() -> Span:
    """What stands for the run while it has not ended."""
    attributes = {
        semconv.KIND: "pending",
        semconv.PENDING_KIND: "run",
        semconv.PENDING_OF: ROOT_ID.hex(),
        semconv.PENDING_PARENT: "0" * 16,
        semconv.RUN_NAME: "support",
    }
    return plain_span("support", id_=span_id(99), parent_id=ROOT_ID, attributes=attributes, duration=0)

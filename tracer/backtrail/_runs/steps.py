"""A step's beginning: what was called, with what, where — named before anything else happens.

    wrapper, block or start_step → **begin** → StepCall, StepContext

This is the path every step takes, so it does each thing once: one encoding, one text for storing,
one for hashing, one dict of attributes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Any, Literal, get_args

from opentelemetry.trace import SpanKind

from backtrail import semconv
from backtrail._boundary import never_raise
from backtrail._contexts.agent_context import AgentContext
from backtrail._contexts.step_context import StepContext
from backtrail._payloads.capture import Capture, capture_of, withhold
from backtrail._payloads.codec import type_name
from backtrail._payloads.content import limited
from backtrail._processes.tasks import framed
from backtrail._replay.replayed_step import attend, find_result
from backtrail.errors import ReplayError

from .identity import StepCall, ident_text, json_string, loose_key, step_key
from .scope import Position

SideEffect = Literal["none", "idempotent", "unsafe"]


def side_effect_of(said: SideEffect) -> SideEffect:
    """ValueError for anything else."""
    if said not in get_args(SideEffect):
        raise ValueError(f"side_effect is one of {', '.join(get_args(SideEffect))}, not {said!r}")
    return said


class StepKind(StrEnum):
    """What a step does; the value is what spans and queries carry."""

    LLM_CALL = "llm"
    TOOL_CALL = "tool"
    RETRIEVAL = "retriever"
    EMBEDDING = "embedding"
    HUMAN = "human"
    CUSTOM = "custom"

    @classmethod
    def _missing_(cls, value: object) -> None:
        raise ValueError(f"kind is one of {', '.join(cls)}, not {value!r}")


_OPERATIONS = {
    StepKind.LLM_CALL: "chat",
    StepKind.TOOL_CALL: "execute_tool",
    StepKind.RETRIEVAL: "retrieval",
    StepKind.EMBEDDING: "embeddings",
}
_CLIENT_KINDS = (StepKind.LLM_CALL, StepKind.RETRIEVAL, StepKind.EMBEDDING)
_TOOL_CALL_ID = "tool_call_id"


class StepPlan:
    """What is the same for every call of one step: names as JSON, attributes, span name."""

    def __init__(
        self,
        name: str,
        kind: StepKind | str = StepKind.CUSTOM,
        *,
        key: str | Callable[..., str] | None = None,
        version: str | None = None,
        hash_excluded: Collection[str] = (),
        side_effect: SideEffect = "none",
        capture: Capture | bool = "all",
        result_type: Any = None,
        raises: tuple[type, ...] = (),
        code_hash: str | None = None,
        has_retries: bool = False,
    ) -> None:
        self.name = name
        self.kind = StepKind(kind)
        self.key = key
        self.version = version
        self.side_effect = side_effect
        self.withholds = capture_of(capture) == "metadata"
        self.result_type = result_type
        self.raises = raises
        self.code_hash = code_hash
        self.has_retries = has_retries
        operation = _OPERATIONS.get(self.kind)
        self.span_name = f"{operation} {name}" if operation else name
        self.span_kind = SpanKind.CLIENT if self.kind in _CLIENT_KINDS else SpanKind.INTERNAL
        self._name_text = json_string(name)
        self._version_text = "null" if version is None else json_string(version)
        self.attributes: dict[str, Any] = {
            semconv.KIND: "step",
            semconv.STEP_NAME: name,
            semconv.STEP_KIND: str(self.kind),
            semconv.STEP_SIDE_EFFECT: side_effect,
        }
        optional = {
            semconv.GEN_AI_OPERATION_NAME: operation,
            semconv.GEN_AI_TOOL_NAME: name if self.kind is StepKind.TOOL_CALL else None,
            semconv.STEP_VERSION: version,
            semconv.STEP_CODE_HASH: code_hash,
            semconv.STEP_HASH_EXCLUDED: f"[{','.join(map(json_string, hash_excluded))}]" if hash_excluded else None,
            semconv.STEP_RESULT_TYPE: type_name(result_type) if isinstance(result_type, type) else None,
        }
        self.attributes.update({attribute: value for attribute, value in optional.items() if value is not None})

    def begin(self, position: Position, inputs: Any, strip: Callable[[Any], Any] | None = None) -> StepContext:
        """Name and number one call. `inputs` are the bound inputs; `strip` takes defaults out of their encoding."""
        position = framed(position)
        runtime = position.runtime
        agent = position.agent or runtime.default_agent()
        recorder = runtime.recorder
        input_json, input_text = runtime.input_payload(inputs, strip)
        input_hash = recorder.hashing.hash(input_json)
        explicit_key = self._explicit_key(inputs)
        if explicit_key is not None:
            explicit_key = recorder.redaction.name(explicit_key)
        ident = ident_text(explicit_key, input_hash)
        scope = position.scope
        counted = (agent.key, self.name, self.version, ident)
        with runtime.lock:
            occurrence = scope.count(counted)
            is_ambiguous = scope.is_contended(counted, threading.get_ident())
            runtime.seq += 1
            seq_start = runtime.seq
        call = StepCall(
            step_key(agent.key, scope.text, self._name_text, self._version_text, ident, occurrence),
            loose_key(json_string(agent.name), self._name_text, input_hash),
            agent.key,
            agent.name,
            scope.text,
            self.name,
            explicit_key,
            self.version,
            occurrence,
            input_hash,
            input_json if runtime.replay is not None else None,
            seq_start,
            self.code_hash,
            is_ambiguous,
        )
        attributes = self._start_attributes(agent, call, input_text, scope.is_weak)
        parent = runtime.parent_span()
        if agent.is_default and agent.span is not None and parent is runtime.span.context:
            parent = agent.span.context
        step = StepContext(self, agent, position, call, parent, attributes)
        if self.side_effect != "none":
            attributes[semconv.STEP_IDEMPOTENCY_KEY] = step.idempotency_key
        agent.steps.append(step)
        return step

    def _start_attributes(self, agent: AgentContext, call: StepCall, input_text: str, is_weak: bool) -> dict[str, Any]:
        recorder = agent.runtime.recorder
        attributes: dict[str, Any] = {
            **agent.attributes,
            **self.attributes,
            semconv.PROCESS: recorder.process,
            semconv.STEP_KEY: call.step_key,
            semconv.STEP_LOOSE_KEY: call.loose_key,
            semconv.STEP_SCOPE: call.scope,
            semconv.STEP_INPUT_HASH: call.input_hash,
            semconv.STEP_HASH_ALG: recorder.hashing.alg,
            semconv.STEP_OCCURRENCE: call.occurrence,
            semconv.STEP_SEQ_START: call.seq_start,
        }
        attributes[semconv.STEP_INPUT] = limited(input_text, recorder.max_payload_bytes)
        if self.withholds:
            withhold(attributes, recorder.hashing)
        if call.explicit_key is not None:
            attributes[semconv.STEP_EXPLICIT_KEY] = call.explicit_key
            if self.kind is StepKind.TOOL_CALL and self.key is None:
                attributes[semconv.GEN_AI_TOOL_CALL_ID] = call.explicit_key
        if call.is_ambiguous:
            attributes[semconv.STEP_AMBIGUOUS] = True
        if is_weak:
            attributes[semconv.STEP_WEAK_SCOPE] = True
        return attributes

    def _explicit_key(self, inputs: Any) -> str | None:
        if self.key is None:
            # A tool call's id came out of a recorded answer, so it comes again.
            if self.kind is StepKind.TOOL_CALL and isinstance(inputs, dict):
                given = inputs.get(_TOOL_CALL_ID)
                return given if isinstance(given, str) else None
            return None
        return str(self.key(**inputs)) if callable(self.key) else self.key


def step_by_hand(position: Position, name: str, kind: StepKind | str, inputs: Any) -> StepContext:
    """A step of `start_step`: its span starts now, and it is current only if used as a block."""
    from backtrail._calls.detached import detached_position

    with never_raise("starting a step", lets=(ReplayError,)):
        step = StepPlan(name, kind).begin(position, inputs)
        attend(step)
        step.start()
        return step
    return StepPlan(name, kind).begin(detached_position(), None)


async def find_step_result(position: Position, name: str, inputs: Any) -> tuple[bool, Any]:
    """The recorded result of the call that `start_step` would begin next. Without one, nothing has been counted."""
    if position.runtime.replay is None:
        return False, None
    step = StepPlan(name).begin(position, inputs)
    found, result = await find_result(step)
    if not found:
        call = step.call
        with position.runtime.lock:
            position.scope.uncount((call.agent_key, name, None, ident_text(None, call.input_hash)))
            step.agent_context.steps.remove(step)
    return found, result

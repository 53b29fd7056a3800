"""One run's recording: its clock and numbers, its agents, its state, its span.

    @run → **RunRuntime** → agents, steps, state, checkpoints → spans

The runtime is shared by every task and thread of the run. Whatever must agree on an order (the seq
clock, span numbers, occurrences, state) happens under its one lock.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from . import _tasks, semconv
from ._agent_context import AgentContext, AgentInfo, PlannedAgent
from ._boundary import logger, never_raise
from ._checkpoint import Checkpoint, snapshot
from ._codec import Encoded, encode, type_name
from ._content import json_text, payload_text
from ._done import DONE, Done
from ._identity import AgentPath, agent_key
from ._lineage import Lineage
from ._recorded_errors import encode_error
from ._recorder import Recorder
from ._run_context import RunContext
from ._scope import Position, Scope
from ._span import RecordedSpan
from ._state import State, StateValue
from ._tasks import Branch
from .errors import CheckpointError, ResultNotReplayableError

if TYPE_CHECKING:
    from ._replay import Replay
    from ._step_context import StepContext

__all__ = ["Branch", "RunInfo", "RunRuntime", "Totals", "active_runs"]

T = TypeVar("T")

_ACKNOWLEDGEMENT_SECONDS = 10.0
_FAILURES_KEPT = 32
_BATCH_TURNS = 2

active_runs: WeakValueDictionary[int, RunRuntime] = WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a run is in the recording."""

    run_id: str
    name: str
    lineage_id: str


class Totals:
    """What the run has used so far, in this process."""

    __slots__ = ("_lock", "cost_usd", "input_tokens", "output_tokens", "tokens")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.input_tokens = 0
        self.output_tokens = 0
        self.tokens = 0
        self.cost_usd = 0.0

    def add_usage(self, input_tokens: int | None, output_tokens: int | None, cost_usd: float | None) -> None:
        with self._lock:
            self.input_tokens += input_tokens or 0
            self.output_tokens += output_tokens or 0
            self.tokens += (input_tokens or 0) + (output_tokens or 0)
            self.cost_usd += cost_usd or 0.0

    def add_given(self, tokens: int | None, cost_usd: float | None) -> None:
        if tokens is not None or cost_usd is not None:
            with self._lock:
                self.tokens += tokens or 0
                self.cost_usd += cost_usd or 0.0


class RunRuntime:
    """What one run's recording keeps while it goes on."""

    def __init__(
        self,
        recorder: Recorder,
        name: str,
        context: RunContext,
        *,
        lineage_id: str | None = None,
        conversation_id: str | None = None,
        replay: Replay | None = None,
    ) -> None:
        self.recorder = recorder
        self.context = context
        self.replay = replay
        self.trace_id = recorder.ids.generate_trace_id()
        self.run_id = f"{self.trace_id:032x}"
        self.lineage_id = lineage_id or self.run_id
        self.info: RunInfo = RunInfo(self.run_id, name, self.lineage_id)
        self.lineage = Lineage.of_run(context, self.lineage_id, conversation_id)
        self.attributes = self.lineage.attributes()
        self.lock = threading.RLock()
        self.root_scope = Scope()
        self.state = State()
        self.totals: Totals = Totals()
        self.agents: list[AgentContext] = []
        self.span: RecordedSpan
        self.status = "open"
        self.given_result: tuple[Any] | None = None
        self.seq = 0
        self.number = 0
        self.step_count = 0
        self.last_step_key: str | None = None
        self.writing_steps: dict[str, None] = {}
        self.loops: set[AbstractEventLoop] = set()
        self._default: AgentContext | None = None
        self._failures: deque[tuple[BaseException, str]] = deque(maxlen=_FAILURES_KEPT)
        self._batch = 0
        self._is_batch_open = False
        self._warned: set[str] = set()

    @property
    def is_replaying(self) -> bool:
        return self.replay is not None

    def in_cached_prefix(self, position: Position) -> bool:
        return self.replay is not None and not self.replay.is_live(position.scope.text)

    # --- The clock and the numbers ----------------------------------------------------------------

    def tick(self) -> int:
        with self.lock:
            self.seq += 1
            return self.seq

    def next_number(self) -> int:
        with self.lock:
            self.number += 1
            return self.number

    def tick_and_number(self) -> tuple[int, int]:
        """A span's last seq and its number: one lock, so that numbers have no holes below a seq."""
        with self.lock:
            self.seq += 1
            self.number += 1
            return self.seq, self.number

    def number_step_end(self, step: StepContext, ending: dict[str, Any]) -> None:
        with self.lock:
            self.seq += 1
            self.number += 1
            ending[semconv.STEP_SEQ_END] = self.seq
            ending[semconv.NUMBER] = self.number
            ending[semconv.STEP_END_BATCH] = self._end_batch()
            self.step_count += 1
            if step.status == "completed":
                self.last_step_key = step.call.step_key
            if step.deltas:
                self.writing_steps.pop(step.call.step_key, None)

    def _end_batch(self) -> int:
        """Completions within two turns of the loop share a batch: a replay releases them together."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return self._batch
        if not self._is_batch_open:
            self._batch += 1
            self._is_batch_open = True
            loop.call_soon(self._turn, loop, _BATCH_TURNS)
        return self._batch

    def _turn(self, loop: AbstractEventLoop, turns: int) -> None:
        if turns > 1:
            loop.call_soon(self._turn, loop, turns - 1)
        else:
            self._is_batch_open = False

    # --- Encoding ---------------------------------------------------------------------------------

    def encode(self, value: Any) -> Encoded:
        """A value that a replay is meant to give back: says once if it cannot."""
        encoded = encode(value)
        if not encoded.replayable:
            self._warn_unreplayable(encoded)
        return encoded

    def encode_error(self, error: BaseException) -> Encoded:
        reasons: list[Encoded] = []

        def part(value: Any) -> Any:
            reasons.append(encode(value))
            return reasons[-1].json

        return Encoded(encode_error(error, part))

    def _warn_unreplayable(self, encoded: Encoded) -> None:
        message = f"{encoded.detail} cannot be kept in a recording ({encoded.reason}); a replay cannot give it back"
        if never_raise.is_strict:
            raise ResultNotReplayableError(message, reason=encoded.reason)
        if encoded.detail not in self._warned:
            self._warned.add(encoded.detail)
            logger.warning("%s", message)

    def note_failure(self, error: BaseException, step_key: str) -> None:
        self._failures.append((error, step_key))

    def failed_step_key(self, error: BaseException) -> str | None:
        """The innermost step that raised the run's error, or what that error came from."""
        seen: BaseException | None = error
        for _ in range(_FAILURES_KEPT):
            if seen is None:
                return None
            for failure, step_key in self._failures:
                if failure is seen:
                    return step_key
            if isinstance(seen, BaseExceptionGroup):
                return next((key for each in seen.exceptions if (key := self.failed_step_key(each))), None)
            seen = seen.__cause__ or seen.__context__
        return None

    # --- Agents -----------------------------------------------------------------------------------

    def default_agent(self) -> AgentContext:
        """The agent of steps that no agent called; made when the first of them is called."""
        if self._default is None:
            with self.lock:
                if self._default is None:
                    path: AgentPath = (("default", 0),)
                    info = AgentInfo(agent_key(path, ()), "default", path, self.lineage.depth, None)
                    planned = PlannedAgent(self._position(), self.span.context)
                    agent = AgentContext(self, self.context, info, self.lineage, None, planned, is_default=True)
                    agent.start()
                    self._default = agent
        return self._default

    def plan_agent(
        self,
        position: Position,
        name: str,
        *,
        context: RunContext | None = None,
        config_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        input_json: Any = None,
    ) -> AgentContext:
        """Name and number an agent at the moment of its call; it starts when it is entered."""
        parent = position.agent if position.agent is not None and not position.agent.is_default else None
        with self.lock:
            ordinal = position.scope.count(("agent", parent.key if parent else None, name))
        path = (*(parent.agent.path if parent else ()), (name, ordinal))
        key = agent_key(path, position.scope.frames)
        lineage = parent.lineage.delegate(key, self.lineage_id) if parent else self.lineage
        if context is not None:
            lineage = lineage.with_context(context)
        info = AgentInfo(key, name, path, lineage.depth, config_id)
        planned = PlannedAgent(position, self.parent_span(), input_json, metadata)
        return AgentContext(self, context or position.context, info, lineage, parent, planned)

    def start_agent(
        self, position: Position, name: str, config_id: str | None, metadata: dict[str, Any] | None
    ) -> AgentContext:
        agent = self.plan_agent(position, name, config_id=config_id, metadata=metadata)
        with never_raise("starting an agent"):
            agent.start()
        return agent

    def start_agent_span(self, agent: AgentContext, planned: PlannedAgent) -> RecordedSpan:
        info, limit = agent.agent, self.recorder.max_payload_bytes
        attributes: dict[str, Any] = {
            **agent.attributes,
            semconv.KIND: "agent",
            semconv.PROCESS: self.recorder.process,
            semconv.GEN_AI_OPERATION_NAME: "invoke_agent",
            semconv.AGENT_NAME: info.name,
            semconv.AGENT_IS_DEFAULT: agent.is_default,
            semconv.AGENT_DEPTH: info.depth,
            semconv.AGENT_SEQ_START: self.tick(),
        }
        if agent.parent is not None:
            attributes[semconv.AGENT_PARENT_KEY] = agent.parent.key
        if info.config_id is not None:
            attributes[semconv.AGENT_CONFIG_ID] = info.config_id
        if planned.metadata is not None:
            attributes[semconv.AGENT_METADATA] = payload_text(encode(planned.metadata).json, limit)
        if planned.input_json is not None:
            attributes[semconv.AGENT_INPUT] = payload_text(planned.input_json, limit)
        span = self.recorder.start(f"invoke_agent {info.name}", planned.parent_span, attributes)
        self.recorder.pending(span)
        self.agents.append(agent)
        return span

    def _position(self) -> Position:
        return Position(self, self.context, None, None, self.root_scope)

    def parent_span(self) -> Any:
        """The span that is current, if it is of this run; else the run's own."""
        from opentelemetry.trace import get_current_span

        current = get_current_span().get_span_context()
        return current if current.trace_id == self.trace_id else self.span.context

    # --- State ------------------------------------------------------------------------------------

    def set_state(self, scope: str, key: str, value: Any, position: Position | None) -> None:
        with never_raise("setting state"):
            new = StateValue(self.encode(value), value)
            with self.lock:
                self.record_delta(scope, self.state.set(scope, key, new), position)

    def delete_state(self, scope: str, key: str, position: Position | None) -> None:
        with never_raise("deleting state"), self.lock:
            self.record_delta(scope, self.state.delete(scope, key), position)

    def get_state(self, scope: str, key: str, default: Any) -> Any:
        with self.lock:
            value = self.state.get(scope, key)
        return default if value is None else value.read()

    def record_delta(self, scope: str, operations: list[dict[str, Any]], position: Position | None) -> None:
        if not operations:
            return
        self.seq += 1
        delta = {"seq": self.seq, "scope": scope, "ops": operations}
        size = len(json_text(delta))
        step = position.step if position is not None and position.runtime is self else None
        if step is not None and step.status == "open" and size <= self.recorder.max_payload_bytes // 2:
            step.add_delta(delta, size)
            self.writing_steps[step.call.step_key] = None
        else:
            self.emit_deltas([delta], step)
        if self.state.grew_by(size):
            snapshot(self)

    def emit_deltas(self, deltas: list[dict[str, Any]], step: StepContext | None = None, reason: str = "set") -> None:
        """Deltas as a span of their own: outside a step, or too many for the step's span."""
        attributes = {
            **(step.agent_context.attributes if step is not None else self.attributes),
            semconv.KIND: "state",
            semconv.PROCESS: self.recorder.process,
            semconv.NUMBER: self.next_number(),
            semconv.STATE_DELTAS: payload_text(deltas, self.recorder.max_payload_bytes),
            semconv.STATE_ROOT: self.state.root,
            semconv.STATE_REASON: reason,
            semconv.STATE_SEQ: deltas[-1]["seq"],
        }
        if step is not None:
            attributes[semconv.STEP_KEY] = step.call.step_key
        self.recorder.point("set_state", self.parent_span(), attributes)

    # --- Checkpoints ------------------------------------------------------------------------------

    def _take_checkpoint(self, position: Position, name: str, extra: dict[str, Any] | None) -> Checkpoint:
        agent = position.agent or self._default
        with self.lock:
            occurrence = position.scope.count((f"checkpoint:{name}", agent.key if agent else None))
            return snapshot(self, name=name, occurrence=occurrence, extra=extra, is_auto=False)

    def checkpoint_sync(self, position: Position, name: str, extra: dict[str, Any] | None) -> Checkpoint:
        checkpoint = self._take_checkpoint(position, name, extra)
        return self._acknowledged(checkpoint, self.recorder.flush(_ACKNOWLEDGEMENT_SECONDS))

    async def checkpoint(self, position: Position, name: str, extra: dict[str, Any] | None) -> Checkpoint:
        checkpoint = self._take_checkpoint(position, name, extra)
        loop = asyncio.get_running_loop()
        is_durable = await loop.run_in_executor(None, self.recorder.flush, _ACKNOWLEDGEMENT_SECONDS)
        return self._acknowledged(checkpoint, is_durable)

    def _acknowledged(self, checkpoint: Checkpoint, is_durable: bool) -> Checkpoint:
        if not is_durable and self.recorder.sink is not None:
            message = f"checkpoint {checkpoint.name or checkpoint.checkpoint_id} was not acknowledged by the server"
            if never_raise.is_strict:
                raise CheckpointError(message)
            logger.warning("%s; it will be sent when the server is back", message)
        return replace(checkpoint, is_durable=is_durable)

    # --- By hand ----------------------------------------------------------------------------------

    def complete(self, result: Any) -> Done:
        for agent in reversed(self.agents):
            agent.complete(None) if agent.status == "open" else None
        self.given_result = (result,)
        return DONE

    def fail(self, error: BaseException) -> Done:
        from ._runs import finish_failed

        for agent in reversed(self.agents):
            agent.fail(error)
        with never_raise("failing a run"):
            finish_failed(self, error)
        return DONE

    def branch(self, key: str) -> Branch:
        return Branch(_active(self), key)

    def run_in_thread(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> Awaitable[T]:
        return _tasks.run_in_thread(_active(self), function, *args, **kwargs)

    def submit(self, executor: Executor, function: Callable[..., T], *args: Any, **kwargs: Any) -> Future[T]:
        return _tasks.submit(_active(self), executor, function, *args, **kwargs)


def _active(runtime: RunRuntime) -> Position:
    from ._run_context import active_position

    return active_position()


def opaque_fields(fields: dict[str, Any]) -> list[str]:
    return [name for name, encoded in fields.items() if isinstance(encoded, dict) and encoded.get("$t") == "opaque"]


def context_json(context: RunContext) -> dict[str, Any]:
    """A context as data: its fields, and the names of those that are services."""
    fields = {name: encode(value).json for name, value in context_fields(context).items()}
    opaque = opaque_fields(fields)
    data = {name: encoded for name, encoded in fields.items() if name not in opaque}
    return {"type": type_name(type(context)), "fields": data, "opaque": opaque}


def context_fields(context: RunContext) -> dict[str, Any]:
    names = getattr(type(context), "__dataclass_fields__", None) or ("query", "metadata")
    return {name: getattr(context, name, None) for name in names}

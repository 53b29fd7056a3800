"""One run's recording: its clock and numbers, its agents, its state, its span.

    @run → **RunRuntime** → agents, steps, state, checkpoints → spans

The runtime is shared by every task and thread of the run. Whatever must agree on an order (the seq
clock, span numbers, occurrences, state) happens under its one lock.
"""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from opentelemetry.trace import SpanContext, get_current_span

from backtrail import semconv
from backtrail._boundary import logger, never_raise
from backtrail._contexts.agent_context import AgentContext
from backtrail._contexts.done import DONE, Done
from backtrail._contexts.remembered import Remembered
from backtrail._contexts.run_context import RunContext
from backtrail._contexts.totals import Totals
from backtrail._delivery.lifetime import in_forked_child
from backtrail._payloads.capture import is_among, types_only
from backtrail._payloads.codec import Encoded, encode
from backtrail._payloads.recorded_errors import encode_error
from backtrail._payloads.recorded_payload import recorded
from backtrail._processes.tasks import Loops
from backtrail._spans.recorder import Recorder, new_process
from backtrail._spans.span import RecordedSpan
from backtrail._state.state import State
from backtrail.errors import ResultNotReplayableError

from . import agents
from .lineage import Lineage
from .scope import Position, Scope
from .turns import TurnClock

if TYPE_CHECKING:
    from backtrail._contexts.step_context import StepContext
    from backtrail._interceptors.interceptors import Interceptor
    from backtrail._replay.replay import Replay
    from backtrail.client import Client

T = TypeVar("T")

_FAILURES_KEPT = 32

active_runs: WeakValueDictionary[int, RunRuntime] = WeakValueDictionary()
_runtimes: WeakValueDictionary[int, RunRuntime] = WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a run is in the recording."""

    run_id: str
    name: str
    lineage_id: str


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
        self.attributes = self.lineage.attributes(recorder)
        self.remembered = Remembered(self)
        self.interceptors: tuple[Interceptor, ...] = recorder.interceptors
        self.lock = threading.RLock()
        self.root_scope = Scope()
        self.state = State()
        self.totals: Totals = Totals()
        self.agents: list[AgentContext] = []
        self.span: RecordedSpan
        self.client: Client | None = None
        self.status = "open"
        self.is_forked = False
        self.is_restored = False
        self.given_result: tuple[Any] | None = None
        self.seq = 0
        self.number = 0
        self.step_count = 0
        self.last_step_key: str | None = None
        self.writing_steps: dict[str, None] = {}
        self.loops: Loops = {}
        self.has_strays = False
        self._default: AgentContext | None = None
        self._failures: deque[tuple[BaseException, str]] = deque(maxlen=_FAILURES_KEPT)
        self._confidential: deque[BaseException] = deque(maxlen=_FAILURES_KEPT)
        self._turns = TurnClock()
        _runtimes[id(self)] = self

    @property
    def is_replaying(self) -> bool:
        return self.replay is not None or self.is_restored

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
            ending[semconv.STEP_END_BATCH] = self._turns.read()
            self.step_count += 1
            if step.status == "completed":
                self.last_step_key = step.call.step_key
            self.writing_steps.pop(step.call.step_key, None)

    # --- Encoding ---------------------------------------------------------------------------------

    def encode(self, value: Any) -> Encoded:
        """A value that a replay is meant to give back, redacted: says once if it cannot."""
        return self.payload(value)[0]

    def payload(self, value: Any) -> tuple[Encoded, str]:
        """The same, and its JSON text."""
        encoded = encode(value, self.recorder.max_payload_bytes)
        if not encoded.replayable:
            self._warn_unreplayable(encoded)
        json, text = recorded(encoded.json, self.recorder)
        if json is encoded.json:
            return encoded, text
        reason = encoded.reason or ("redacted" if '"$t":"redacted"' in text else "too_large")
        return Encoded(json, replayable=False, reason=reason), text

    def input_payload(self, value: Any, strip: Callable[[Any], Any] | None) -> tuple[Any, str]:
        """The JSON of a call's inputs, and its text. `strip` takes out of it what does not count."""
        encoded = encode(value, self.recorder.max_payload_bytes)
        if not encoded.replayable:
            self._warn_unreplayable(encoded)
        return recorded(encoded.json if strip is None else strip(encoded.json), self.recorder)

    def encode_error(self, error: BaseException) -> Encoded:
        """An error as data, redacted; a replay raises it again."""
        json = encode_error(error, lambda value: encode(value).json)
        if self.is_confidential(error):
            return Encoded(types_only(json), replayable=False, reason="not_captured")
        redacted = self.recorder.redaction.error(json)
        return Encoded(json) if redacted is json else Encoded(redacted, replayable=False, reason="redacted")

    def warn_of_redacted(self, name: str, encoded: Encoded) -> None:
        """Say once for each step that a replay will not have its answer."""
        if encoded.reason == "redacted":
            _warn_once(f"what step {name} gave back was redacted, so a replay cannot give it back (docs/privacy.md)")

    def _warn_unreplayable(self, encoded: Encoded) -> None:
        message = f"{encoded.detail} cannot be kept in a recording ({encoded.reason}); a replay cannot give it back"
        if never_raise.is_strict:
            raise ResultNotReplayableError(message, reason=encoded.reason)
        _warn_once(message)

    def keep_confidential(self, error: BaseException) -> None:
        """Keep the words of an error off every span it goes through."""
        self._confidential.append(error)

    def is_confidential(self, error: BaseException) -> bool:
        return bool(self._confidential) and is_among(error, tuple(self._confidential))

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
                    self._default = agents.start_default(self)
                    if self.is_forked or self.status != "open":
                        # First needed in a child process, or by a task that outlived the run: nobody will end it.
                        self._default.finish(None)
        return self._default

    def start_agent(
        self, position: Position, name: str, config_id: str | None, metadata: dict[str, Any] | None
    ) -> AgentContext:
        from backtrail._calls.detached import detached_position

        with never_raise("starting an agent"):
            agent = agents.plan_agent(position, name, config_id=config_id, metadata=metadata)
            agent.start()
            return agent
        return agents.plan_agent(detached_position(), name)

    def is_entrance(self, position: Position) -> bool:
        """Whether a run that starts here is a part of this one. Only where another process called: see joined."""
        return False

    def is_top_agent(self, agent: AgentContext) -> bool:
        """Whether the agent's end is the last this process may say of the run."""
        return False

    def parent_span(self) -> SpanContext:
        """The span that is current, if it is of this run; else the run's own."""
        current = get_current_span().get_span_context()
        return current if current.trace_id == self.trace_id else self.span.context

    # --- By hand ----------------------------------------------------------------------------------

    def complete(self, result: Any) -> Done:
        for agent in reversed(self.agents):
            if agent.status == "open":
                agent.complete(None)
        self.given_result = (result,)
        return DONE

    def fail(self, error: BaseException) -> Done:
        from .runs import finish_failed

        for agent in reversed(self.agents):
            agent.fail(error)
        with never_raise("failing a run"):
            finish_failed(self, error)
        return DONE


def runtimes() -> list[RunRuntime]:
    """Of all runs and joined parts of runs, also those that are over, as long as somebody holds them."""
    # Taken at once: other threads start runs meanwhile, which an iteration does not stand.
    return [runtime for reference in _runtimes.valuerefs() if (runtime := reference()) is not None]


@functools.lru_cache(maxsize=256)
def _warn_once(message: str) -> None:
    # Once in a process: a service has a run for every request.
    logger.warning("%s", message)


def _after_fork() -> None:
    """A forked process counts its own spans; a lock its parent held would never be released here.

    The state it knows is its parent's, who may write on: what is written here is kept apart.
    """
    for runtime in runtimes():
        runtime.lock = threading.RLock()
        runtime.totals.renew()
        if runtime.replay is not None:
            runtime.replay.renew()
        runtime.number = 0
        runtime.is_forked = True
        runtime.recorder = replace(runtime.recorder, process=new_process())
        runtime.state = State(runtime.recorder.process, inherited=runtime.state)
        runtime.writing_steps = {}


in_forked_child(_after_fork)

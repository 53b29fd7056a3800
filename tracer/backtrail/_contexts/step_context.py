"""StepContext: one call of a step, from its start to its end.

    call → StepCall → **StepContext** → span

The span's attributes are one dict, filled at the start and at the end. Everything between is the
user's: messages and usage of a model call, a result given by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from opentelemetry.trace import SpanContext

from backtrail import semconv
from backtrail._boundary import never_raise
from backtrail._calls.block import Block
from backtrail._payloads.codec import Encoded
from backtrail._payloads.content import limited, payload_text
from backtrail._payloads.recorded_errors import as_error
from backtrail._runs.identity import StepCall, idempotency_key
from backtrail._runs.scope import Position, Scope
from backtrail._spans import llm
from backtrail._spans.llm import ModelCall
from backtrail._spans.span import RecordedSpan, error_type
from backtrail._state.mutations import note_mutations

from .done import DONE, Done
from .run_context import RunContext
from .tool_context import ToolContext

if TYPE_CHECKING:
    from backtrail._interceptors.interceptors import Interceptor
    from backtrail._runs.run import RunRuntime
    from backtrail._runs.steps import StepPlan
    from backtrail._streams.chunks import Chunks

    from .agent_context import AgentContext


class StepContext(Block):
    """The step that is running; get it by annotation, `as`, or `get_current_step_context()`."""

    __slots__ = (
        "_given",
        "_parent",
        "_position",
        "_start_attributes",
        "agent_context",
        "attempts",
        "bytes_of_deltas",
        "call",
        "cost_usd",
        "deltas",
        "interceptors",
        "plan",
        "span",
        "status",
        "tokens_used",
    )

    def __init__(
        self,
        plan: StepPlan,
        agent: AgentContext,
        position: Position,
        call: StepCall,
        parent: SpanContext,
        start_attributes: dict[str, Any],
    ) -> None:
        super().__init__()
        self.plan = plan
        self.agent_context = agent
        self.interceptors: tuple[Interceptor, ...] = agent.interceptors
        self.call = call
        self.status = "open"
        self.deltas: list[dict[str, Any]] | None = None
        self.span: RecordedSpan | None = None
        self.tokens_used: int | None = None
        self.cost_usd: float | None = None
        self._start_attributes: dict[str, Any] = start_attributes
        self._parent = parent
        self._position = position
        self.bytes_of_deltas = 0
        self.attempts = 0
        self._given: Any = None

    # --- For the user -----------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self.call.name

    @property
    def step(self) -> StepCall:
        """Key, scope, occurrence and input of this call."""
        return self.call

    @property
    def attempt(self) -> int:
        """Which try this is, from 1, if the step has `retries=`."""
        return self.attempts or 1

    @property
    def retry_count(self) -> int:
        """How many tries have failed before this one."""
        return self.attempt - 1

    @property
    def is_replaying(self) -> bool:
        return self._position.runtime.is_replaying

    @property
    def position(self) -> Position:
        """Where the call stands, with this step as the current one."""
        return self._position._replace(step=self)

    @property
    def idempotency_key(self) -> str:
        """One key for this intent: the same when the run is resumed, another in a fork."""
        return idempotency_key(self._position.runtime.lineage_id, self.call.step_key)

    def complete(self, result: Any = None, tokens_used: int | None = None, cost_usd: float | None = None) -> Done:
        """Give the step its result by hand, and what it used if no usage is recorded. May be awaited."""
        self.tokens_used = tokens_used if tokens_used is not None else self.tokens_used
        self.cost_usd = cost_usd if cost_usd is not None else self.cost_usd
        self._given = result
        if not self.is_current:
            with never_raise("completing a step"):
                self.start()
                self.finish(result)
        return DONE

    def fail(self, error: BaseException | str) -> Done:
        """End the step with an error. May be awaited."""
        with never_raise("failing a step"):
            self.start()
            self.finish_failed(as_error(error))
        return DONE

    def set_attribute(self, name: str, value: Any) -> None:
        """Put an attribute of your own on the step's span."""
        self.set_attributes({name: value})

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        with never_raise("setting attributes"):
            if self.span is not None:
                self.span.set_attributes(attributes)

    def record_llm(self, **said: Unpack[ModelCall]) -> None:
        """Say what a model call used and exchanged, in the words of OpenTelemetry's GenAI conventions.

        this.record_llm(provider="openai", request_model="gpt-4o-mini", input_tokens=812, output_tokens=40)
        """
        with never_raise("recording a model call"):
            attributes = llm.attributes(self.runtime.recorder, said)
            self.runtime.totals.add_usage(said.get("input_tokens"), said.get("output_tokens"), said.get("cost_usd"))
            if self.span is not None and self.span.is_recording():
                self.span.attributes.update(attributes)

    # --- Start and end ----------------------------------------------------------------------------

    @property
    def runtime(self) -> RunRuntime:
        return self._position.runtime

    def provide(self, cls: type) -> Any:
        """The context of this class as the step's body sees it, or None."""
        if issubclass(cls, StepContext):
            return self
        position = self._position
        if issubclass(cls, RunContext):
            return position.context if isinstance(position.context, cls) else None
        return ToolContext.at(self.position) if issubclass(cls, ToolContext) else self.agent_context

    def start(self) -> RecordedSpan:
        """Start the span; the second time, nothing."""
        if self.span is None:
            recorder = self._position.runtime.recorder
            plan = self.plan
            self.span = recorder.start(plan.span_name, self._parent, self._start_attributes, plan.span_kind)
            if plan.withholds:
                self.span.withholds = True
            if recorder.sink is not None:
                recorder.sink.opened(self.span)
        return self.span

    @property
    def given_result(self) -> Any:
        return self._given

    @property
    def waits_before(self) -> bool:
        """Whether the server has to know of the step first: its body may do what cannot be undone."""
        return self.plan.side_effect != "none"

    @property
    def waits_after(self) -> bool:
        return self.runtime.recorder.durability == "sync"

    def enter(self) -> None:
        """Start the span and make the step current."""
        span = self.start()
        if self.waits_before:
            self.runtime.recorder.keep(self.runtime.trace_id)
            self.runtime.recorder.pending(span)
        position = self._position
        inner = Position(
            position.runtime, position.context, self.agent_context, self, Scope((("step", self.call.step_key),))
        )
        self.become_current(inner, span)

    def leave(self, result: Any) -> None:
        """The body returned: record its result. A replay gives it to the caller, so one given by hand cannot stand."""
        self.exit()
        self.finish(result)

    def leave_block(self) -> None:
        """The block ended: record the result that was given by hand."""
        self.leave(self._given)

    def leave_failed(self, error: BaseException) -> None:
        """The body raised: record the error."""
        self.exit()
        self.finish_failed(error)

    def leave_stream(self, chunks: Chunks, result: Any, error: BaseException | None) -> None:
        """The body has no more items: record those it had, and how it ended."""
        self.exit()
        if error is None:
            self.finish(result, chunks)
        else:
            self.finish_failed(error, chunks)

    def finish(self, result: Any, chunks: Chunks | None = None) -> None:
        if self.status != "open":
            return
        runtime = self._position.runtime
        encoded, text = runtime.payload(result)
        ending = self._ending("completed", encoded)
        ending[semconv.STEP_RESULT] = text = limited(text, runtime.recorder.max_payload_bytes)
        if text.startswith('{"$t":"truncated"'):
            ending[semconv.STEP_REPLAYABLE] = False
            ending[semconv.STEP_UNREPLAYABLE_REASON] = "too_large"
        if chunks is not None:
            ending.update(chunks.step_attributes())
        self._end(ending)

    def finish_served(self) -> None:
        """The step was answered from the record: completed, and the result stays where it is."""
        if self.status == "open":
            self._end(self._ending("completed", Encoded(None)))

    def finish_failed(self, error: BaseException, chunks: Chunks | None = None) -> None:
        if self.status != "open":
            return
        runtime = self._position.runtime
        is_cancelled = not isinstance(error, Exception)
        if self.plan.withholds:
            runtime.keep_confidential(error)
        encoded = runtime.encode_error(error)
        ending = self._ending("cancelled" if is_cancelled else "failed", encoded)
        ending[semconv.STEP_ERROR] = payload_text(encoded.json, runtime.recorder.max_payload_bytes)
        ending[semconv.ERROR_TYPE] = error_type(error)
        if not is_cancelled:
            runtime.note_failure(error, self.call.step_key)
        if self.span is not None:
            self.span.set_error(error, is_confidential=runtime.is_confidential(error))
        if chunks is not None:
            ending.update(chunks.step_attributes())
        self._end(ending)

    def _ending(self, status: str, encoded: Encoded) -> dict[str, Any]:
        self.status = status
        ending: dict[str, Any] = {semconv.STEP_STATUS: status, semconv.STEP_REPLAYABLE: encoded.replayable}
        if not encoded.replayable:
            ending[semconv.STEP_UNREPLAYABLE_REASON] = encoded.reason
            self.runtime.warn_of_redacted(self.call.name, encoded)
        if self.tokens_used is not None:
            ending[semconv.STEP_TOKENS] = self.tokens_used
        if self.cost_usd is not None:
            ending[semconv.STEP_COST_USD] = self.cost_usd
        return ending

    def _end(self, ending: dict[str, Any]) -> None:
        span = self.span
        if span is None:
            return
        runtime = self._position.runtime
        if span.withholds:
            ending[semconv.STEP_REPLAYABLE] = False
            ending[semconv.STEP_UNREPLAYABLE_REASON] = "not_captured"
        if runtime.recorder.track_mutations:
            with runtime.lock:
                note_mutations(runtime, self.position)
        with runtime.lock:
            # Another thread may be writing state for this step: its delta is here, or in a span of its own.
            if self.deltas:
                ending[semconv.STEP_DELTAS] = payload_text(self.deltas, runtime.recorder.max_payload_bytes)
            runtime.number_step_end(self, ending)
        span.attributes.update(ending)
        self._start_attributes = {}
        self.deltas = None
        if runtime.recorder.sink is not None:
            runtime.recorder.sink.closed(span)
        span.end()
        runtime.totals.add_given(self.tokens_used, self.cost_usd)
        if runtime.replay is not None:
            runtime.replay.ended(self.call)

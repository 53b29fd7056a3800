"""AgentContext: one actor within a run, with its own state and its place in the delegation.

    run → **agent** → agent or step

Its key and lineage are worked out once; every span inside takes them over as one ready dict.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from backtrail import semconv
from backtrail._boundary import never_raise
from backtrail._calls.block import Block, Within
from backtrail._payloads.content import json_text, limited, payload_text
from backtrail._payloads.recorded_errors import as_error
from backtrail._payloads.recorded_payload import recorded, recorded_text
from backtrail._runs.agent_info import AgentInfo, PlannedAgent
from backtrail._runs.lineage import Lineage
from backtrail._runs.scope import Position, current_position
from backtrail._spans.span import RecordedSpan, error_type
from backtrail._state.checkpoint import Checkpoint, checkpoint, checkpoint_sync
from backtrail._state.deltas import delete_state, get_state, set_state

from .done import DONE, Done
from .run_context import RunContext
from .tool_context import ToolContext

if TYPE_CHECKING:
    from backtrail._interceptors.interceptors import Interceptor
    from backtrail._runs.run import RunRuntime
    from backtrail._streams.chunks import Chunks

    from .step_context import StepContext

_STEPS_KEPT = 1000
_NOTHING: Any = object()


class AgentContext(Block):
    """The agent that is at work; get it by annotation, `as`, or `get_current_agent_context()`."""

    waits_before = waits_after = False
    _is_paused = False
    stands_for_run = False  # a function decorated with @run that another process called

    def __init__(
        self,
        runtime: RunRuntime,
        context: RunContext,
        info: AgentInfo,
        lineage: Lineage,
        parent: AgentContext | None,
        planned: PlannedAgent,
        *,
        is_default: bool = False,
    ) -> None:
        super().__init__()
        self.runtime = runtime
        self.agent = info
        self.key = info.agent_key
        self.lineage = lineage
        self.parent = parent
        self.is_default = is_default
        self.interceptors: tuple[Interceptor, ...] = (parent or runtime).interceptors
        self.status = "open"
        self.steps: deque[StepContext] = deque(maxlen=_STEPS_KEPT)
        self.span: RecordedSpan | None = None
        self._seq_start = 0
        self._context = context
        self._planned = planned
        self._given: Any = _NOTHING
        self.attributes: dict[str, Any] = {
            **lineage.attributes(runtime.recorder),
            semconv.AGENT_KEY: info.agent_key,
            semconv.AGENT_PATH: json_text(info.path),
            semconv.GEN_AI_AGENT_NAME: info.name,
        }

    # --- For the user -----------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self.agent.name

    @property
    def run_context(self) -> RunContext:
        return self._context

    @property
    def is_replaying(self) -> bool:
        return self.runtime.is_replaying

    def set_state(self, key: str, value: Any) -> None:
        """Keep a value in this agent's own state."""
        set_state(self.runtime, self.key, key, value, current_position.get())

    def get_state(self, key: str, default: Any = None) -> Any:
        """A copy of a value of this agent's state."""
        return get_state(self.runtime, self.key, key, default)

    def delete_state(self, key: str) -> None:
        """Take a key out of this agent's state."""
        delete_state(self.runtime, self.key, key, current_position.get())

    async def checkpoint(self, name: str = "", extra_state: dict[str, Any] | None = None) -> Checkpoint:
        """Keep the whole state as it is now. When this returns, the server has it."""
        return await checkpoint(self._position(), name, extra_state)

    def checkpoint_sync(self, name: str = "", extra_state: dict[str, Any] | None = None) -> Checkpoint:
        """The same for code without an event loop."""
        return checkpoint_sync(self._position(), name, extra_state)

    def start_step(
        self,
        name: str,
        kind: str = "custom",
        input_args: tuple[Any, ...] = (),
        input_kwargs: dict[str, Any] | None = None,
    ) -> StepContext:
        """Start a step by hand; end it with `complete` or `fail`, or use it as a block. May be awaited."""
        from backtrail._runs.steps import step_by_hand

        return step_by_hand(self._position(), name, kind, {"args": list(input_args), "kwargs": input_kwargs or {}})

    async def get_step_result(
        self, name: str, input_args: tuple[Any, ...] = (), input_kwargs: dict[str, Any] | None = None
    ) -> tuple[bool, Any]:
        """Whether a replay has the result of this call, and the result: `found, result = await …`.

        Without one, go on with `start_step` of the same name and inputs.
        """
        from backtrail._runs.steps import find_step_result

        inputs = {"args": list(input_args), "kwargs": input_kwargs or {}}
        return await find_step_result(self._position(), name, inputs)

    def complete(self, result: Any = None) -> Done:
        """End the agent with this result. May be awaited."""
        self._given = result
        if not self.is_current:
            with never_raise("completing an agent"):
                self.finish(result)
        return DONE

    def fail(self, error: BaseException | str) -> Done:
        """End the agent with an error. May be awaited."""
        with never_raise("failing an agent"):
            self.finish_failed(as_error(error))
        return DONE

    # --- Start and end ----------------------------------------------------------------------------

    def _position(self) -> Position:
        position = current_position.get()
        if position is None or position.runtime is not self.runtime:
            return Position(self.runtime, self._context, self, None, self.runtime.root_scope)
        return position if position.agent is self else position._replace(agent=self)

    @property
    def last_seq(self) -> int:
        """When this agent last began something: itself, or a step."""
        return self.steps[-1].call.seq_start if self.steps else self._seq_start

    def provide(self, cls: type) -> Any:
        """The context of this class as the agent's body sees it, or None."""
        if issubclass(cls, AgentContext):
            return self
        if issubclass(cls, RunContext):
            return self._context if isinstance(self._context, cls) else None
        return ToolContext.at(self._inside) if issubclass(cls, ToolContext) else None

    def start(self) -> RecordedSpan:
        """Start the span; the second time, nothing."""
        if self.span is None:
            self.span = self.runtime.recorder.start(
                f"invoke_agent {self.name}", self._planned.parent_span, self._start_attributes()
            )
            self.runtime.recorder.pending(self.span)
            self.runtime.agents.append(self)
        return self.span

    def _start_attributes(self) -> dict[str, Any]:
        planned = self._planned
        recorder = self.runtime.recorder
        self._seq_start = self.runtime.tick()
        attributes: dict[str, Any] = {
            **self.attributes,
            semconv.KIND: "agent",
            semconv.PROCESS: self.runtime.recorder.process,
            semconv.GEN_AI_OPERATION_NAME: "invoke_agent",
            semconv.AGENT_NAME: self.name,
            semconv.AGENT_IS_DEFAULT: self.is_default,
            semconv.AGENT_DEPTH: self.agent.depth,
            semconv.AGENT_SEQ_START: self._seq_start,
        }
        if self.parent is not None:
            attributes[semconv.AGENT_PARENT_KEY] = self.parent.key
        if self.agent.config_id is not None:
            attributes[semconv.AGENT_CONFIG_ID] = self.agent.config_id
        if planned.metadata is not None:
            attributes[semconv.AGENT_METADATA] = recorded_text(planned.metadata, recorder)
        if planned.input_json is not None:
            attributes[semconv.AGENT_INPUT] = limited(recorded(planned.input_json, recorder)[1], self._limit)
        return attributes

    @property
    def given_result(self) -> Any:
        return None if self._given is _NOTHING else self._given

    def enter(self) -> None:
        """Start the agent and make it current."""
        self.become_current(self._inside, self.start())

    @property
    def _inside(self) -> Position:
        position = self._planned.position
        return Position(self.runtime, self._context, self, position.step, position.scope)

    def leave(self, result: Any) -> None:
        """The body returned: record its result, or the one given by hand."""
        self.exit()
        self.finish(result if self._given is _NOTHING else self._given)

    def leave_block(self) -> None:
        self.leave(None)

    def leave_failed(self, error: BaseException) -> None:
        """The body raised: record the error."""
        self.exit()
        self.finish_failed(error)

    def leave_stream(self, chunks: Chunks, result: Any, error: BaseException | None) -> None:
        """The body has no more items: they are the agent's result."""
        self.exit()
        if self.status != "open" or self.span is None:
            return
        self.span.attributes.update({**chunks.times(), semconv.AGENT_RESULT: chunks.result_text()})
        if error is not None:
            self.finish_failed(error)
        elif self._given is not _NOTHING:
            self.finish(self._given)
        else:
            self._end("completed", {})

    def pause(self) -> Within:
        self._is_paused = True
        return super().pause()

    @property
    def is_at_work(self) -> bool:
        """Whether its body runs, or waits for somebody to want the next item of it."""
        return self.is_current or self._is_paused

    def finish(self, result: Any) -> None:
        if self.status == "open":
            _, text = self.runtime.payload(result)
            self._end("completed", {semconv.AGENT_RESULT: limited(text, self._limit)})

    def finish_failed(self, error: BaseException) -> None:
        if self.status == "open":
            encoded = self.runtime.encode_error(error)
            if self.span is not None:
                self.span.set_error(error, is_confidential=self.runtime.is_confidential(error))
            ending = {
                semconv.AGENT_ERROR: payload_text(encoded.json, self._limit),
                semconv.ERROR_TYPE: error_type(error),
            }
            self._end("failed" if isinstance(error, Exception) else "cancelled", ending)

    @property
    def _limit(self) -> int:
        return self.runtime.recorder.max_payload_bytes

    def _end(self, status: str, ending: dict[str, Any]) -> None:
        self.status = status
        if self.span is None:
            return
        seq, number = self.runtime.tick_and_number()
        ending[semconv.AGENT_STATUS] = status
        ending[semconv.AGENT_SEQ_END] = seq
        ending[semconv.NUMBER] = number
        if self.runtime.is_top_agent(self):
            ending[semconv.AGENT_NUMBER_MAX] = number
        self.span.attributes.update(ending)
        self.span.end()

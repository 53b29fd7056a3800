"""A step with retries: its tries, each a span of its own below the step's, under the step's one key.

    wrap → StepContext → **repeated** → Attempt → user's function, again and again → the step's result or error

The waiting and the choice to go on are behaviour, not recording: they hold outside a run as well, where there is no
span to hang an attempt on. A step without retries never comes here.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from backtrail import _late, semconv
from backtrail._boundary import never_raise
from backtrail._contexts.step_context import StepContext
from backtrail._payloads.content import payload_text
from backtrail._runs.scope import current_position
from backtrail._spans.span import RecordedSpan, error_type

from .block import Block
from .retries import Retries

GaveUp = Literal["exhausted", "not_retryable", "deadline"]

_beginning = never_raise("beginning an attempt")
_ending = never_raise("ending an attempt")


def repeated(
    function: Callable[..., Any], retries: Retries, *, is_async: bool, gives_items: bool
) -> Callable[..., Any]:
    """The user's function, called until it returns or there is no sense in another try."""
    if gives_items:
        raise TypeError(f"{function!r} gives a stream; what was taken of it cannot be taken back: no retries=")

    @functools.wraps(function)
    def repeat(*args: Any, **kwargs: Any) -> Any:
        tries = Tries(retries)
        while True:
            tries.begin()
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                if tries.failed(error):
                    raise
            else:
                tries.completed()
                return result
            time.sleep(tries.pause)

    @functools.wraps(function)
    async def repeat_awaited(*args: Any, **kwargs: Any) -> Any:
        tries = Tries(retries)
        while True:
            tries.begin()
            try:
                result = await function(*args, **kwargs)
            except BaseException as error:
                if tries.failed(error):
                    raise
            else:
                tries.completed()
                return result
            await _late.asyncio.sleep(tries.pause)

    return repeat_awaited if is_async else repeat


class Tries:
    """The tries of one call. `pause` is how long to wait before the next."""

    def __init__(self, retries: Retries) -> None:
        self.pause = 0.0
        self._retries = retries
        self._n = 0
        self._step = _own_step()
        self._attempt: Attempt | None = None

    def begin(self) -> None:
        self._n += 1
        self._attempt = None
        with _beginning:
            if self._step is not None:
                self._attempt = Attempt(self._step, self._n, self.pause)
                self._attempt.enter()

    def completed(self) -> None:
        with _ending:
            if self._attempt is not None:
                self._attempt.leave_block()

    def failed(self, error: BaseException) -> bool:
        """Whether that was the last try."""
        gave_up: GaveUp | None = None
        try:
            gave_up = self._gives_up(error)  # asks the user's own functions, which may raise
        finally:
            with _ending:
                if self._attempt is not None:
                    self._attempt.gave_up = gave_up
                    self._attempt.leave_failed(error)
        return gave_up is not None

    def _gives_up(self, error: BaseException) -> GaveUp | None:
        if not self._retries.wants(error):
            return "not_retryable"
        if self._n > self._retries.most:
            return "exhausted"
        self.pause = self._retries.pause_before(self._n)
        if self._is_in_record():
            self.pause = 0.0  # this try was the recorded one: it was waited then
        elif _ends_too_late(self.pause):
            return "deadline"
        return None

    def _is_in_record(self) -> bool:
        position = current_position.get()
        return position is not None and position.runtime.in_cached_prefix(position)


class Attempt(Block):
    """One try, from its start to its end. Steps in it are numbered on from the try before."""

    __slots__ = ("_backoff", "_n", "_step", "gave_up", "span")

    def __init__(self, step: StepContext, n: int, backoff: float) -> None:
        super().__init__()
        self.gave_up: GaveUp | None = None
        self.span: RecordedSpan | None = None
        self._step = step
        self._n = n
        self._backoff = backoff

    def enter(self) -> None:
        step, position = self._step, current_position.get()
        step.attempts = self._n
        if step.span is None or position is None:
            return
        step.span.attributes[semconv.STEP_ATTEMPTS] = self._n
        recorder = step.runtime.recorder
        attributes = {
            **step.agent_context.attributes,
            semconv.KIND: "attempt",
            semconv.PROCESS: recorder.process,
            semconv.ATTEMPT_N: self._n,
        }
        if self._n > 1:
            attributes[semconv.ATTEMPT_BACKOFF_MS] = round(self._backoff * 1000)
        self.span = recorder.start(f"attempt {self._n}", step.span.context, attributes)
        self.span.withholds = step.span.withholds
        if recorder.sink is not None:
            recorder.sink.opened(self.span)
        self.become_current(position, self.span)

    def leave_block(self) -> None:
        self.exit()
        self._end("completed", {})

    def leave_failed(self, error: BaseException) -> None:
        self.exit()
        if self.span is None:
            return
        runtime = self._step.runtime
        is_cancelled = not isinstance(error, Exception)
        if self.span.withholds:
            runtime.keep_confidential(error)
        ending: dict[str, Any] = {
            semconv.ATTEMPT_ERROR: payload_text(runtime.encode_error(error).json, runtime.recorder.max_payload_bytes),
            semconv.ERROR_TYPE: error_type(error),
        }
        if self.gave_up is not None and not is_cancelled:
            ending[semconv.ATTEMPT_GAVE_UP] = self.gave_up
        self.span.set_error(error, is_confidential=runtime.is_confidential(error))
        self._end("cancelled" if is_cancelled else "failed", ending)
        is_known = self._step.waits_before or self._n > 1
        if self.gave_up is None and not is_known and self._step.span is not None:
            # Killed while it waits, the step would be unknown, and its attempts nobody's.
            runtime.recorder.pending(self._step.span)

    def _end(self, status: str, ending: dict[str, Any]) -> None:
        if self.span is None:
            return
        runtime = self._step.runtime
        ending[semconv.ATTEMPT_STATUS] = status
        ending[semconv.NUMBER] = runtime.next_number()
        self.span.attributes.update(ending)
        if runtime.recorder.sink is not None:
            runtime.recorder.sink.closed(self.span)
        self.span.end()


def _own_step() -> StepContext | None:
    """The step whose body is about to run; None outside a run, or where its recording could not begin."""
    position = current_position.get()
    step = position.step if position is not None else None
    return step if step is not None and step.plan.has_retries and step.attempts == 0 else None


def _ends_too_late(pause: float) -> bool:
    """Whether the run's deadline, if its context has one, comes before the end of the wait."""
    position = current_position.get()
    if position is None:
        return False
    with never_raise("reading the deadline of a run"):
        deadline = getattr(position.context, "deadline", None)
        return isinstance(deadline, datetime) and time.time() + pause > deadline.timestamp()
    return False

"""One stream as it is recorded: current while its body runs, its items kept on their way to the consumer.

    first item asked for → **resume → body → give** → consumer → resume → … → end, fail or close → span

Between two items everything that is current belongs to the consumer, who may be another task by then: nothing
is held across a `yield`.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any

from backtrail import _late
from backtrail._boundary import never_raise
from backtrail._processes import tasks

from .chunks import Chunks, ClosedBy

if TYPE_CHECKING:
    from backtrail._calls.block import Within
    from backtrail._calls.calls import Activity

_resuming = never_raise("going on with a stream")
_keeping = never_raise("recording an item of a stream")
_closing = never_raise("ending the recording of a stream")


class NotRecorded:
    """A stream that is only handed on."""

    def resume(self) -> None: ...
    def give(self, item: Any) -> None: ...
    def survived(self) -> None: ...
    def end(self, result: Any = None, closed_by: ClosedBy = "end") -> None: ...
    def fail(self, error: BaseException) -> None: ...
    def settle(self) -> None: ...
    async def settle_async(self) -> None: ...


class Streaming:
    """A stream of a run, an agent or a step. If it is dropped half read, its end is recorded when it is collected."""

    _is_open = False  # also of one that could not be made, and is collected

    def __init__(self, activity: Activity) -> None:
        self._activity = activity
        self._within: Within | None = None
        self._chunks = Chunks(activity.runtime)

    def begin(self) -> None:
        """Start the span, and become current."""
        with _resuming:
            self._enter()
            if self._activity.waits_before:
                _acknowledge(self._activity)

    async def begin_async(self) -> None:
        with _resuming:
            self._enter()
            tasks.join_loop(self._activity.runtime.loops)
            if self._activity.waits_before:
                await _late.asyncio.get_running_loop().run_in_executor(None, _acknowledge, self._activity)

    def _enter(self) -> None:
        self._is_open = True
        self._activity.enter()
        if (span := self._activity.span) is not None:
            self._chunks.begin(span)

    def resume(self) -> None:
        """The body goes on: it is current again."""
        if self._within is not None and self._is_open:
            with _resuming:
                self._activity.come_back(self._within)

    def pause(self) -> None:
        """The consumer goes on: what it had made current is so again."""
        if self._is_open:
            with _resuming:
                self._within = self._activity.pause()

    def give(self, item: Any) -> None:
        """An item goes out."""
        self.pause()
        if self._is_open:
            with _keeping:
                self._chunks.add(item)

    def survived(self) -> None:
        self._chunks.survived()

    def end(self, result: Any = None, closed_by: ClosedBy = "end") -> None:
        """The body returned, or its consumer wanted no more of it."""
        self._leave(closed_by, result, None)

    def fail(self, error: BaseException) -> None:
        """The body raised; if that is how it was closed, it has not failed."""
        if isinstance(error, GeneratorExit):
            self._leave("consumer", None, None)
        else:
            self._leave("error" if isinstance(error, Exception) else "cancel", None, error)

    def fail_to_open(self, error: BaseException) -> None:
        """There is no stream: the function raised."""
        self._is_open = False
        with _closing:
            self._activity.leave_failed(error)

    def leave(self, result: Any) -> None:
        """There is no stream: the function returned something else."""
        self._is_open = False
        with _closing:
            self._activity.leave(result)

    def _leave(self, closed_by: ClosedBy, result: Any, error: BaseException | None) -> None:
        if self._is_open:
            self._is_open = False
            with _closing:
                self._chunks.closed_by = closed_by
                self._chunks.redact()
                self._activity.leave_stream(self._chunks, result, error)

    def drop(self) -> None:
        """The consumer let go of it. The event loop closes it a turn later, when the program may have gone on."""
        with _closing:
            self._chunks.dropped_seq = self._activity.runtime.seq

    def settle(self) -> None:
        if self._activity.waits_after:
            with _closing:
                _acknowledge(self._activity)

    async def settle_async(self) -> None:
        if self._activity.waits_after:
            with _closing:
                await _late.asyncio.get_running_loop().run_in_executor(None, _acknowledge, self._activity)

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if self._is_open and not is_finalizing():
            self._leave("consumer", None, None)


Recording = NotRecorded | Streaming


def _acknowledge(activity: Activity) -> None:
    from backtrail._calls.calls import acknowledge

    acknowledge(activity)


def generate(open_body: Callable[[], tuple[Recording, Generator[Any, Any, Any]]]) -> Generator[Any, Any, Any]:
    """What the caller of a generator function gets. `open_body` begins the recording, at the first item."""
    recording, body = open_body()
    resume: Callable[[Any], Any] = body.send
    value: Any = None
    thrown: BaseException | None = None
    while True:
        is_closed, is_thrown, thrown = isinstance(thrown, GeneratorExit), thrown is not None, None
        try:
            item = resume(value)
        except StopIteration as stop:
            if is_thrown and not is_closed:
                recording.survived()
            recording.end(stop.value, "consumer" if is_closed else "end")
            recording.settle()
            return stop.value
        except BaseException as error:
            recording.fail(error)
            raise
        finally:
            value = None  # an error that was thrown in would hold this frame, and be held by it
        if is_thrown:
            recording.survived()
        recording.give(item)
        try:
            resume, value = body.send, (yield item)
        except BaseException as error:
            resume, value, thrown = body.throw, error, error
        recording.resume()


async def generate_async(
    open_body: Callable[[], Awaitable[tuple[Recording, AsyncGenerator[Any, Any]]]],
) -> AsyncGenerator[Any, Any]:
    """The same for an async generator function."""
    recording, body = await open_body()
    step: Awaitable[Any] | None = first_step(body)
    value: Any = None
    thrown: BaseException | None = None
    while step is not None:
        is_closed, is_thrown, thrown = isinstance(thrown, GeneratorExit), thrown is not None, None
        try:
            item = await step
        except StopAsyncIteration:
            if is_thrown and not is_closed:
                recording.survived()
            recording.end(None, "consumer" if is_closed else "end")
            await recording.settle_async()
            return
        except BaseException as error:
            recording.fail(error)
            raise
        finally:
            step = None
        if is_thrown:
            recording.survived()
        recording.give(item)
        try:
            resume, value = body.asend, (yield item)
        except BaseException as error:
            resume, value, thrown = body.athrow, error, error
        recording.resume()
        step, value = resume(value), None


def first_step(body: AsyncGenerator[Any, Any]) -> Awaitable[Any]:
    # The loop is to know the outer generator alone: closing both when it shuts down, it would find the body running.
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(firstiter=None, finalizer=_is_ours)
    try:
        return body.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)


def _is_ours(body: AsyncGenerator[Any, Any]) -> None:
    """Collected together with the outer generator, which closes it if there is still a loop to do so."""

"""A stream answered from the record: its items at once, then the end it had.

    first item asked for → Replay.on_call → **replayed stream** → consumer

Nothing is spliced: a stream is served as far as it was recorded or runs as a whole. Whoever asks for more than was
recorded, because it was closed early, is told that the replay cannot go on.
"""

from __future__ import annotations

import typing
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable
from typing import TYPE_CHECKING, Any

from backtrail._boundary import never_raise
from backtrail._contexts.step_context import StepContext
from backtrail._payloads.decode import decode, registry_of
from backtrail._payloads.recorded_errors import decode_error
from backtrail.errors import ReplayError, ResultNotReplayableError

from .decision import Decision, Hang, Match, Raise, Served
from .replayed_step import hang, redo_deltas, start_served

if TYPE_CHECKING:
    from .bundle import StepRecord, StreamRecord
    from .replay import Replay


class ReplayedStream:
    """One recorded stream on its way to a consumer."""

    def __init__(
        self, replay: Replay, step: StepContext, record: StepRecord, match: Match, stream: StreamRecord
    ) -> None:
        self._replay = replay
        self._step = step
        self._record = record
        self._match = match
        self._stream = stream
        hint, registry = step.plan.result_type, {**replay.registry, **registry_of(step.plan.raises)}
        self._items = [decode(item, _item_hint(hint), registry) for item in stream.chunks]
        self._result = decode(record.result, _return_hint(hint), registry)
        self._error: BaseException | None = None
        if stream.closed_by == "error":
            classes = [cls for cls in registry.values() if issubclass(cls, BaseException)]
            self._error = decode_error(record.error, classes, lambda value: decode(value, None, registry))

    @property
    def count(self) -> int:
        return len(self._items)

    def begin(self) -> None:
        """It is served: its span starts, and what its body wrote to the state is written."""
        start_served(self._step, self._record, self._match)
        redo_deltas(self._replay, self._step, self._record)

    async def begin_in_turn(self) -> None:
        start_served(self._step, self._record, self._match)
        try:
            if self._stream.closed_by != "cancel":
                await self._replay.released(self._record)
        except BaseException as error:
            self._replay.interrupted(self._step.call, self._record)
            self._step.finish_failed(error)
            raise
        redo_deltas(self._replay, self._step, self._record)

    def close(self) -> None:
        """The consumer wants no more of it."""
        self._step.finish_served()

    def serve(self) -> Generator[Any, Any, Any]:
        for count, item in enumerate(self._items, 1):
            try:
                yield item
            except BaseException as error:
                self._thrown(error, count)
        self._end()
        return self._result

    async def serve_async(self) -> AsyncGenerator[Any, Any]:
        for count, item in enumerate(self._items, 1):
            try:
                yield item
            except BaseException as error:
                self._thrown(error, count)
        if self._stream.closed_by == "cancel":
            await self._hang()
        self._end()

    def _thrown(self, error: BaseException, count: int) -> None:
        """What the consumer throws comes back, unless the recorded body went on after it."""
        if count in self._stream.thrown and not isinstance(error, GeneratorExit):
            return
        if isinstance(error, GeneratorExit):
            self._step.finish_served()
        else:
            self._step.finish_failed(error)
        raise error

    async def _hang(self) -> None:
        try:
            await self._replay.hang()
        except BaseException as error:
            self._step.finish_failed(error)
            raise

    def _end(self) -> None:
        if self._error is not None:
            self._step.finish_failed(self._error)
            raise self._error
        if self._stream.closed_by == "end":
            self._step.finish_served()
            return
        try:
            self._replay.exhausted(self._step.call, self.count)
        except ReplayError as error:
            self._step.finish_failed(error)
            raise

    def __del__(self) -> None:
        if self._step.span is not None and self._step.status == "open":
            with never_raise("ending a replayed stream"):
                self._step.finish_served()


def answer_stream(decision: Decision, step: StepContext) -> ReplayedStream | None:
    """The recorded stream, begun; None if the body has to run. For code without an event loop."""
    replay = step.runtime.replay
    if replay is None:
        return None
    if isinstance(decision, Hang):
        replay.runs_after_all(
            step.call, decision.record, "it was cancelled, which code without an event loop cannot be"
        )
        return None
    replayed = _recorded(replay, step, decision)
    if replayed is not None:
        replayed.begin()
    return replayed


async def answer_stream_in_turn(decision: Decision, step: StepContext) -> ReplayedStream | None:
    """The same when it is this answer's turn among those that wait."""
    replay = step.runtime.replay
    if replay is None:
        return None
    if isinstance(decision, Hang) and (decision.record.stream is None or not decision.record.stream.chunks):
        await hang(replay, step, decision.record, decision.match)
        return None
    replayed = _recorded(replay, step, decision)
    if replayed is not None:
        await replayed.begin_in_turn()
    return replayed


def _recorded(replay: Replay, step: StepContext, decision: Decision) -> ReplayedStream | None:
    match decision:
        case Served(record, match) | Raise(record, match) | Hang(record, match):
            try:
                if record.stream is None:
                    raise ResultNotReplayableError(
                        "one result was recorded, and this is a stream", reason="not_a_stream"
                    )
                return ReplayedStream(replay, step, record, match, record.stream)
            except ReplayError as error:
                replay.undecodable(step.call, record, error)
    return None


def _item_hint(hint: Any) -> Any:
    """What `Iterator[X]`, `AsyncGenerator[X, …]` or a client's `Stream[X]` says of an item; other hints are for it."""
    origin = typing.get_origin(hint)
    is_stream = origin in (Iterable, AsyncIterable) or hasattr(origin, "__next__") or hasattr(origin, "__anext__")
    return (typing.get_args(hint) or (None,))[0] if is_stream else hint


def _return_hint(hint: Any) -> Any:
    arguments = typing.get_args(hint)
    return arguments[2] if typing.get_origin(hint) is Generator and len(arguments) == 3 else None

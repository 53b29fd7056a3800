"""A step answered from the record: its value or its error, its state changes, its span.

    the decorators → Replay.on_call → **replayed step** → the caller

Its body does not run. Its span says so and names the one that did, so nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from backtrail import semconv
from backtrail._contexts.step_context import StepContext
from backtrail._payloads.decode import decode, registry_of
from backtrail._payloads.recorded_errors import decode_error
from backtrail._state.deltas import record_delta
from backtrail.errors import ReplayError, ResultNotReplayableError

from .decision import Decision, Hang, Match, Raise, Served
from .redo import redo
from .replayed_run import link_to

if TYPE_CHECKING:
    from .bundle import StepRecord
    from .replay import Replay


class _Run:
    """There is no answer: the body has to run."""


RUN: Final = _Run()


def decide(activity: object) -> Decision | None:
    """What the record says to this call, asked while it is being made; None outside a replay."""
    if not isinstance(activity, StepContext) or activity.runtime.replay is None:
        return None
    return activity.runtime.replay.on_call(activity.call)


def attend(step: StepContext) -> None:
    """The same for a step whose code stands in a block or between two calls: it runs, its record is used up."""
    if step.runtime.replay is not None:
        step.runtime.replay.on_block(step.call)


async def find_result(step: StepContext) -> tuple[bool, Any]:
    """Whether the record answers this call, and with what; raises the recorded error if that was the outcome."""
    replay = step.runtime.replay
    if replay is None or not replay.has_answer(step.call):
        return False, None
    answer = await _answer_in_turn(replay, step, replay.on_call(step.call))
    return (False, None) if answer is RUN else (True, answer)


def answer_or_run(decision: Decision, step: StepContext, run: Callable[[], Any]) -> Any:
    """The recorded result or error; without one, what the body comes to."""
    answer = RUN if (replay := step.runtime.replay) is None else _answer(replay, step, decision)
    return run() if answer is RUN else answer


async def answer_or_drive(decision: Decision, step: StepContext, body: Coroutine[Any, Any, Any]) -> Any:
    """The same for a coroutine function, when it is this answer's turn among those that wait."""
    try:
        answer = RUN if (replay := step.runtime.replay) is None else await _answer_in_turn(replay, step, decision)
    except BaseException:
        body.close()
        raise
    if answer is RUN:
        return await body
    body.close()
    return answer


def _answer(replay: Replay, step: StepContext, decision: Decision) -> Any:
    match decision:
        case Served(record, match) | Raise(record, match):
            recorded = _recorded(replay, step, decision)
            return RUN if recorded is RUN else _give(replay, step, record, match, recorded)
        case Hang(record):
            replay.runs_after_all(step.call, record, "it was cancelled, which code without an event loop cannot be")
    return RUN


async def _answer_in_turn(replay: Replay, step: StepContext, decision: Decision) -> Any:
    match decision:
        case Served(record, match) | Raise(record, match):
            recorded = _recorded(replay, step, decision)
            if recorded is RUN:
                return RUN
            start_served(step, record, match)
            try:
                await replay.released(record)
            except BaseException as error:
                replay.interrupted(step.call, record)
                step.finish_failed(error)
                raise
            return _give(replay, step, record, match, recorded)
        case Hang(record, match):
            await hang(replay, step, record, match)
    return RUN


async def hang(replay: Replay, step: StepContext, record: StepRecord, match: Match) -> None:
    """Until the loser of a race is cancelled again. Returns if it has to run after all."""
    try:
        await replay.hang()
    except BaseException as error:
        start_served(step, record, match)
        step.finish_failed(error)
        raise
    replay.runs_after_all(step.call, record, "it was cancelled when it was recorded, and nothing cancels it now")


class _Failure:
    """A recorded error on its way to being raised; a result may itself be an exception."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _recorded(replay: Replay, step: StepContext, decision: Served | Raise) -> Any:
    """The value or the error of the record, or RUN if it cannot come back and the user wants it live then."""
    record, plan = decision.record, step.plan
    registry = {**replay.registry, **registry_of(plan.raises)}
    try:
        if record.stream is not None:
            raise ResultNotReplayableError("a stream was recorded, and this is one result", reason="is_a_stream")
        if isinstance(decision, Served):
            return decode(record.result, plan.result_type, registry)
        classes = [cls for cls in registry.values() if issubclass(cls, BaseException)]
        return _Failure(decode_error(record.error, classes, lambda value: decode(value, None, registry)))
    except ReplayError as error:
        replay.undecodable(step.call, record, error)
        return RUN


def _give(replay: Replay, step: StepContext, record: StepRecord, match: Match, recorded: Any) -> Any:
    start_served(step, record, match)
    redo_deltas(replay, step, record)
    if isinstance(recorded, _Failure):
        step.finish_failed(recorded.error)
        raise recorded.error
    step.finish_served()
    return recorded


def redo_deltas(replay: Replay, step: StepContext, record: StepRecord) -> None:
    """Write to the state what the step and those in it wrote, in the order in which they did."""
    with step.runtime.lock:
        for delta in replay.deltas_of(record):
            scope, operations = redo(step.runtime.state, delta, replay.registry)
            record_delta(step.runtime, scope, operations, step.position)


def start_served(step: StepContext, record: StepRecord, match: Match) -> None:
    """Start the span of a step whose body does not run; the second time, nothing."""
    if step.span is not None:
        return
    span = step.start()
    span.attributes.pop(semconv.STEP_INPUT, None)
    span.attributes[semconv.STEP_REPLAYED] = True
    span.attributes[semconv.STEP_MATCH] = match
    if (source := record.source) is not None:
        span.attributes[semconv.STEP_SOURCE] = f"{source.run_id}/{source.span_id}"
        span.links = (*span.links, link_to(source.run_id, source.span_id, "source"))

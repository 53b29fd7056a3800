"""The new run of a replay: how it gets its record when it starts, and what its span says about it.

Client.replay → **replayed run** → RunRuntime
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Link, SpanContext, TraceFlags

from backtrail import semconv
from backtrail._state.state import State

from .redo import recorded_value

if TYPE_CHECKING:
    from .replay import Replay

_starting: ContextVar[ReplayStart | None] = ContextVar("backtrail_starting_replay", default=None)


@dataclass(slots=True)
class ReplayStart:
    """Waits for the run that is about to start; that run writes its id here."""

    replay: Replay
    run_id: str | None = None


@contextmanager
def starting(replay: Replay) -> Iterator[ReplayStart]:
    """The next run that starts in this context replays; no run inside it does."""
    start = ReplayStart(replay)
    token = _starting.set(start)
    try:
        yield start
    finally:
        _starting.reset(token)


def take_start() -> ReplayStart | None:
    """Asked by each run that starts: what waits for it. A run within the replayed one finds it taken."""
    start = _starting.get()
    return None if start is None or start.run_id is not None else start


def restore_state(state: State, replay: Replay) -> None:
    """What the recorded run began with; everything after comes again by itself."""
    for scope, keys in replay.bundle.run.initial_state.items():
        for key, encoded in keys.items():
            state.set(scope, key, recorded_value(encoded, replay.registry))


def start_attributes(replay: Replay) -> dict[str, Any]:
    bundle = replay.bundle
    return {
        semconv.REPLAY_OF: bundle.run.run_id,
        semconv.REPLAY_ROOT: bundle.root_run_id,
        semconv.REPLAY_MODE: bundle.target.mode,
        semconv.REPLAY_AT: bundle.target.at,
        semconv.REPLAY_BUNDLE_SHA256: bundle.sha256,
        semconv.REPLAY_GENERATION: bundle.generation + 1,
    }


def end_attributes(replay: Replay) -> dict[str, Any]:
    report = replay.finished()
    return {
        semconv.REPLAY_HITS: report.hits,
        semconv.REPLAY_LIVE: report.live,
        semconv.REPLAY_DIVERGENCES: len(report.divergences),
        semconv.REPLAY_SAVED_TOKENS: report.saved_tokens,
        semconv.REPLAY_SAVED_COST_USD: report.saved_cost_usd,
    }


def replay_link(replay: Replay) -> Link:
    """From the new run to the one it repeats."""
    return link_to(replay.bundle.run.run_id, replay.bundle.run.root_span_id, "replay_of")


def link_to(run_id: str, span_id: str, kind: str) -> Link:
    context = SpanContext(int(run_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return Link(context, {semconv.LINK: kind})

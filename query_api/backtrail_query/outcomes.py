"""What became of each recorded step, and what a replay does when the call recurs; pure.

    reader.get_trace → records → **outcomes** → bundle

No span can carry this: whether a failure was handled shows only in what was called after it, and which failure
ended the run only in the run's own error.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from backtrail_query.records import StepRecord

Policy = Literal["cached", "raise", "hang", "live", "enter", "refuse"]
Scope = Sequence[Sequence[object]]
Call = tuple[str, str, str, str | None, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`handled` is None where the question does not arise: steps that came to their end, or that nobody saw end.

    A stream that its consumer closed early is handled like a failure: somebody went on after it, or the run ended.
    """

    handled: bool | None
    policy: Policy
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to run live: one step and what ran into its failure, or everything begun after `seq`."""

    step_key: str | None = None
    seq: int | None = None


def derive_outcomes(
    steps: Sequence[StepRecord], *, run_completed: bool, failed_step_key: str | None, target: Target
) -> dict[str, Outcome]:
    """One outcome for each step of one run, by step key."""
    family = Family(steps)
    terminal = _unbroken_failures(steps, failed_step_key)
    outcomes = {
        step.step_key: _outcome(step, family, terminal=terminal, run_completed=run_completed, target=target)
        for step in steps
    }
    entered = _entered(outcomes, family, terminal)
    return {
        key: Outcome(handled=outcome.handled, policy="enter", reason=outcome.reason) if key in entered else outcome
        for key, outcome in outcomes.items()
    }


class Family:
    """Which step was called inside which: the scope of a nested call begins with its step's key."""

    def __init__(self, steps: Sequence[StepRecord]) -> None:
        self.steps = sorted(steps, key=lambda step: step.seq_start)
        self.by_key = {step.step_key: step for step in steps}
        self.nested: dict[str, list[StepRecord]] = defaultdict(list)
        self._began: dict[str, int] = {}
        for step in self.steps:
            for length in range(1, len(step.scope) + 1):
                self._began.setdefault(repr(step.scope[:length]), step.seq_start)
            enclosing = enclosing_step_key(step.scope)
            if enclosing is not None:
                self.nested[enclosing].append(step)

    def enclosing(self, step: StepRecord) -> Iterable[StepRecord]:
        """The steps around this one, from the inside out."""
        seen = {step.step_key}
        key = enclosing_step_key(step.scope)
        while key is not None and key in self.by_key and key not in seen:
            seen.add(key)
            yield self.by_key[key]
            key = enclosing_step_key(self.by_key[key].scope)

    def was_handled(self, step: StepRecord) -> bool:
        """Somebody went on after this failure: in its scope, in one around it, in a task or thread begun since, or by
        completing a step around it."""
        if step.seq_end is None:
            return False
        # The event loop closes a dropped stream a turn later: what the program called meanwhile came after it.
        end = step.seq_end if step.stream_dropped_seq is None else step.stream_dropped_seq
        around = [step, *self.enclosing(step)]
        if any(outer.status == "completed" for outer in around[1:]):
            return True
        return any(
            later.seq_start > end and any(self._goes_on(later.scope, inner.scope, end) for inner in around)
            for later in self.steps
        )

    def _goes_on(self, later: Scope, failed: Scope, end: int) -> bool:
        """Whether who called in the later scope had got past a failure in the other."""
        if _is_around(later, failed):
            return True
        # Work that was begun by the failed scope: its first call tells when, as far as anything does.
        return _is_around(failed, later) and self._began[repr(later[: len(failed) + 1])] > end


def enclosing_step_key(scope: Scope) -> str | None:
    if scope and len(scope[0]) == 2 and scope[0][0] == "step":
        return str(scope[0][1])
    return None


def _is_around(outer: Scope, inner: Scope) -> bool:
    return list(inner[: len(outer)]) == list(outer) and enclosing_step_key(outer) == enclosing_step_key(inner)


def _outcome(step: StepRecord, family: Family, *, terminal: set[str], run_completed: bool, target: Target) -> Outcome:
    handled = None
    if step.status in ("failed", "cancelled") or step.stream_closed_by == "consumer":
        handled = run_completed or family.was_handled(step)
    policy, reason = _policy(step, handled=bool(handled), terminal=terminal, target=target)
    return Outcome(handled=handled, policy=policy, reason=reason)


def _policy(step: StepRecord, *, handled: bool, terminal: set[str], target: Target) -> tuple[Policy, str]:
    if step.step_key == target.step_key or (target.seq is not None and step.seq_start > target.seq):
        return "live", "target"
    if step.step_key in terminal:
        return "live", "failed_terminal"  # before handled: an error caught and raised again could never be resumed
    match step.status:
        case "completed" if not step.replayable:
            return "refuse", step.unreplayable_reason or "not_captured"
        case "completed" if step.stream_closed_by == "consumer" and not handled:
            return "live", "closed_open"  # what ended the run had its items: repaired, it may want all of them
        case "completed":
            return "cached", "completed"
        case "failed" if handled and not step.replayable:
            return "refuse", step.unreplayable_reason or "not_captured"
        case "failed":
            return ("raise", "failed_handled") if handled else ("live", "failed_open")
        case "cancelled":
            return ("hang", "cancelled_handled") if handled else ("live", "cancelled_fallout")
        case "incomplete":
            return ("refuse", "unknown_outcome") if step.side_effect == "unsafe" else ("live", "incomplete")


def _unbroken_failures(steps: Sequence[StepRecord], failed_step_key: str | None) -> set[str]:
    """The failure that ended the run and the equal ones straight before it: a user's own retry loop starts anew."""
    calls: dict[Call, dict[int, StepRecord]] = defaultdict(dict)
    last = None
    for step in steps:
        calls[_call(step)][step.occurrence] = step
        if step.step_key == failed_step_key:
            last = step
    terminal: set[str] = set()
    while last is not None and last.status == "failed":
        terminal.add(last.step_key)
        last = calls[_call(last)].get(last.occurrence - 1)
    return terminal


def _call(step: StepRecord) -> Call:
    return (step.agent_key, repr(step.scope), step.name, step.version, step.explicit_key or step.input_hash)


def _entered(outcomes: dict[str, Outcome], family: Family, terminal: set[str]) -> set[str]:
    """Steps whose body runs again on its nested records: around a live target, or open with something inside."""
    around_target = {
        outer.step_key
        for key, outcome in outcomes.items()
        if key in terminal or outcome.reason == "target"
        for outer in family.enclosing(family.by_key[key])
    }
    return {
        key
        for key, outcome in outcomes.items()
        if key in around_target or (outcome.policy == "live" and outcome.reason != "target" and family.nested.get(key))
    }

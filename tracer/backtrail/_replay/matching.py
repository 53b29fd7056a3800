"""Which recorded step a call is: by its key, else by the looser rule, else the nearest one to name in a report.

    Replay.on_call → **matching**

A record is used once. Taking one takes what is nested in it, since its body will not run.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from backtrail._runs.identity import StepCall

from .bundle import StepRecord
from .frontier import Frontier, Scope


class Records:
    """The recorded steps and which of them are still to be used. Not thread-safe: `Replay` holds its lock."""

    def __init__(self, steps: Sequence[StepRecord]) -> None:
        self._steps = sorted(steps, key=lambda step: (-step.generation, step.seq_start))
        self._unused = {step.step_key: step for step in self._steps}
        self._loose: dict[str, list[StepRecord]] = defaultdict(list)
        self._nested: dict[str, list[StepRecord]] = defaultdict(list)
        for step in self._steps:
            self._loose[step.loose_key].append(step)
            if step.enclosing_step_key is not None:
                self._nested[step.enclosing_step_key].append(step)

    def exact(self, call: StepCall) -> StepRecord | None:
        return self._unused.get(call.step_key)

    def loose(self, call: StepCall, frontier: Frontier) -> StepRecord | None:
        """The first record of equal agent, name and input whose own scope does not exist in this run.

        A record whose scope does exist will be asked for by its own key: it is another branch's answer. And
        behind the frontier a call without a record is new work, not a call that has moved. Nor has one come here
        from another process.
        """
        if call.explicit_key is not None or frontier.is_live(call.scope):
            return None
        return next(
            (
                step
                for step in self._loose.get(call.loose_key, ())
                if step.step_key in self._unused
                and step.explicit_key is None
                and step.version == call.version
                and not step.is_elsewhere
                and not frontier.is_known(step.scope_text)
            ),
            None,
        )

    def nearest(self, call: StepCall) -> StepRecord | None:
        """What the call was most likely meant to be, for the report of a miss."""
        same_name = [step for step in self._unused.values() if step.name == call.name]
        return next(
            (step for step in same_name if step.agent_key == call.agent_key and step.scope_text == call.scope),
            next((step for step in same_name if step.agent_name == call.agent_name), None),
        )

    def is_used_up(self, scope: Scope) -> bool:
        """Whether every recorded call of this scope has been made."""
        return not any(step.scope_text == scope for step in self._unused.values())

    def take(self, record: StepRecord, *, with_nested: bool) -> None:
        self._unused.pop(record.step_key, None)
        if with_nested:
            for step in self.nested_in(record.step_key):
                self._unused.pop(step.step_key, None)

    def nested_in(self, step_key: str) -> Iterator[StepRecord]:
        """Everything called in this step's body, however deep; a bundle from a stranger may hold a circle."""
        seen = {step_key}
        waiting = [step_key]
        while waiting:
            for step in self._nested.get(waiting.pop(), ()):
                if step.step_key not in seen:
                    seen.add(step.step_key)
                    waiting.append(step.step_key)
                    yield step

    def deltas_of(self, record: StepRecord) -> list[dict[str, Any]]:
        """What the step and the steps in it wrote to the state, in the order in which they wrote it."""
        effective = [record, *(step for step in self.nested_in(record.step_key) if _is_effective(step))]
        deltas: Iterable[dict[str, Any]] = ({**delta} for step in effective for delta in step.deltas)
        return sorted(deltas, key=lambda delta: int(str(delta.get("seq", 0))))

    def leftover(self) -> list[StepRecord]:
        """Answers nobody asked for, though this run came to where they are: not in another process, nor in a try of
        a step that was not needed this time."""
        excused = {step.step_key for step in self._steps if step.is_elsewhere}
        roots = (step.step_key for step in self._steps if step.is_elsewhere or len(step.attempts) > 1)
        excused.update(step.step_key for root in roots for step in self.nested_in(root))
        answers = (step for step in self._unused.values() if step.replay_policy in ("cached", "raise"))
        return [step for step in answers if step.step_key not in excused]


def _is_effective(step: StepRecord) -> bool:
    return step.status == "completed" or (step.status == "failed" and bool(step.handled))

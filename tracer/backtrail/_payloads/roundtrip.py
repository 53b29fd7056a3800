"""`configure(strict_roundtrip=True)`: a live caller gets what a replay would give it.

    user's function → StepContext.leave → **roundtrip** → the caller

A program that lives on more than its recording holds (the identity of an object, a private attribute) then breaks in
its tests, and not in a replay.
"""

from __future__ import annotations

from typing import Any

from backtrail._boundary import complain, never_raise
from backtrail._contexts.current import get_current_client, has_active_client
from backtrail._contexts.step_context import StepContext
from backtrail.errors import ReplayError

from .codec import encode
from .decode import decode, registry_of

_copying = never_raise("giving a caller the recorded value")


class roundtrip:
    """Whether callers get copies; set by `configure()`."""

    is_on = False


def recorded_copy(activity: object, result: Any) -> Any:
    """The result of a step as its record holds it; the result itself where no record could give it back."""
    if not isinstance(activity, StepContext):
        return result
    with _copying:
        plan = activity.plan
        types = get_current_client().types if has_active_client() else {}
        try:
            return decode(encode(result).json, plan.result_type, {**types, **registry_of(plan.raises)})
        except ReplayError as error:
            complain(f"the result of {plan.name}", "the result of step %s would not come back: %s", plan.name, error)
    return result

"""What a replay can say to a call, and what its caller may wish.

Replay.on_call → **decision** → the decorators
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from .bundle import StepRecord

Match = Literal["exact", "loose", "nearest"]


@dataclass(frozen=True, slots=True)
class Live:
    """Run the body; nothing in it has a record."""


@dataclass(frozen=True, slots=True)
class Enter:
    """Run the body on its nested records: what is live lies inside."""

    record: StepRecord


@dataclass(frozen=True, slots=True)
class Served:
    """Return the recorded result."""

    record: StepRecord
    match: Match


@dataclass(frozen=True, slots=True)
class Raise:
    """Raise the recorded error: the run handled it and went on."""

    record: StepRecord
    match: Match


@dataclass(frozen=True, slots=True)
class Hang:
    """Wait to be cancelled, as in the recorded run: run live, a loser of a race might win it."""

    record: StepRecord
    match: Match


Decision = Live | Enter | Served | Raise | Hang


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """The caller's wishes, as `Client.replay` takes them."""

    on_input_change: Literal["live", "reuse", "raise"] = "live"
    on_undecodable: Literal["raise", "live"] = "raise"
    code_change: Literal["warn", "rerun", "raise"] = "warn"
    allow_unsafe: bool | Collection[str] = False

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(ReplayOptions).items():
            if get_origin(hint) is Literal and (value := getattr(self, name)) not in get_args(hint):
                raise ValueError(f"{name} is one of {', '.join(get_args(hint))}, not {value!r}")

    def allows_unsafe(self, name: str) -> bool:
        return self.allow_unsafe if isinstance(self.allow_unsafe, bool) else name in self.allow_unsafe

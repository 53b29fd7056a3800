"""Where a replay and its record part ways, as data: the report a replay hands back.

Replay → **divergence, report** → ReplayResult, `backtrail replay`
"""

from dataclasses import dataclass, field
from typing import Literal

DivergenceKind = Literal[
    "missing_step",
    "unconsumed_step",
    "input_changed",
    "order_changed",
    "outcome_changed",
    "code_changed",
    "context_changed",
    "state_changed",
    "redaction_changed",
    "undecodable",
    "ambiguous",
    "stream_exhausted",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """One difference; `detail` is a sentence for people, the keys are for programs."""

    kind: DivergenceKind
    name: str
    step_key: str | None
    detail: str
    nearest_step_key: str | None = None


@dataclass(slots=True, kw_only=True)
class ReplayReport:
    """What came from the record and what ran; tokens and cost are those of the calls that were not made again."""

    mode: str
    replay_of: str
    bundle_sha256: str
    hits: int = 0
    live: int = 0
    saved_tokens: int = 0
    saved_cost_usd: float = 0.0
    divergences: list[Divergence] = field(default_factory=list)


_WHY = {
    "opaque": "it holds an object that no recording can keep",
    "redacted": "what was confidential in it was not recorded",
    "too_large": "it was too long to be recorded",
    "too_deep": "it was nested too deep to be recorded",
    "not_captured": "the step does not record its result",
    "digest_mismatch": "it is not what was recorded: cut or changed on its way",
    "not_a_stream": "one result was recorded, and the step is a stream now",
    "is_a_stream": "a stream was recorded, and the step has one result now",
    "source_missing": "the run that holds it is no longer stored",
}


def why_unreplayable(reason: str) -> str:
    """The reason code of a record as a sentence."""
    return f"{_WHY[reason]} ({reason})" if reason in _WHY else reason


def changed_inputs(recorded: object, called: object) -> str:
    """Names the inputs that differ, so that nobody has to compare two long texts by eye."""
    if not isinstance(recorded, dict) or not isinstance(called, dict):
        return "its input differs"
    names = sorted(name for name in {*recorded, *called} if recorded.get(name) != called.get(name))
    shown = ", ".join(f"{name}: {_short(recorded.get(name))} → {_short(called.get(name))}" for name in names[:3])
    return f"its input differs in {shown}" if shown else "its input is equal"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"

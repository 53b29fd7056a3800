"""How much of a call is recorded: everything, or only what was called, when, how long and how large.

    configure(capture=…), @step(capture=…) → **withhold** → span

The stricter of the two holds. What is withheld leaves its size and its hash; the words of an error stay away too, also
from the spans of the agent and the run that the error goes through.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args

from backtrail import semconv

from .content import PAYLOAD_ATTRIBUTES, json_text
from .hashing import Hashing

Capture = Literal["all", "metadata", "none"]

# Values of state were replaced by their sizes when they were set; an effect's value is a time, an id or a number; of
# a stream's items there is only the count.
_KEPT = {
    semconv.STEP_STREAM,
    semconv.STEP_DELTAS,
    semconv.STATE_DELTAS,
    semconv.CHECKPOINT_VALUES,
    semconv.EFFECT_VALUE,
}
_WITHHELD = PAYLOAD_ATTRIBUTES - _KEPT | {semconv.QUERY, semconv.INTERCEPTED_REASON}
# Where other instrumentation puts words: OpenInference, OpenLLMetry, Logfire, the older GenAI conventions.
_WORDS = (
    *("gen_ai.prompt", "gen_ai.completion", "llm.", "input.", "output.", "tool.", "message.", "document."),
    *("embedding.", "retrieval.", "traceloop.entity.", "ai.", "logfire.", "request_data", "response_data", "events"),
    *("all_messages", "final_result", "db.query", "db.statement", "exception.message", "exception.stacktrace"),
)
_COUNTS = ("llm.token_count.", "llm.usage.", "llm.model_name", "llm.provider", "llm.system", "tool.name", "tool.id")


def capture_of(capture: Capture | bool) -> Capture:
    """`True` and `False` are "all" and "metadata"."""
    if isinstance(capture, bool):
        return "all" if capture else "metadata"
    if capture not in get_args(Capture):
        raise ValueError(f"capture is one of {', '.join(get_args(Capture))}, not {capture!r}")
    return capture


def withhold(attributes: dict[str, Any], hashing: Hashing) -> None:
    """Take the words out of a span's attributes, and leave their sizes and hashes."""
    found = {name: attributes.pop(name) for name in attributes.keys() & _WITHHELD}
    if sizes := {name: [len(text.encode()), hashing.hash(text)] for name, text in found.items() if text}:
        before = attributes.get(semconv.WITHHELD)
        told = json_text(dict(sorted(sizes.items())))
        attributes[semconv.WITHHELD] = told if before is None else f"{before[:-1]},{told[1:]}"


def is_word(name: str) -> bool:
    """Whether an attribute of other instrumentation may hold what was said."""
    return name in _WITHHELD or (name.startswith(_WORDS) and not name.startswith(_COUNTS))


def types_only(error: dict[str, Any]) -> dict[str, Any]:
    """An encoded error without its words."""
    kept: dict[str, Any] = {name: error.get(name) for name in ("type", "module", "mro", "retryable")}
    kept["message"] = ""
    if isinstance(cause := error.get("cause"), dict):
        kept["cause"] = types_only(cause)
    if isinstance(children := error.get("children"), list):
        kept["children"] = [types_only(child) for child in children]
    return kept


def is_among(error: BaseException, confidential: Iterable[BaseException]) -> bool:
    """Whether this error, or one it came from, is among those whose words stay away."""
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen or len(seen) > 64:
            continue
        if any(one is other for other in confidential):
            return True
        seen.add(id(one))
        waiting += [other for other in (one.__cause__, one.__context__) if other is not None]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
    return False

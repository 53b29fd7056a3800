"""Whether a recorded answer is the one that was given: its digest was taken before it left the program. Pure.

records → **integrity** → lineage
"""

from hashlib import sha256

from pydantic_core import from_json

from backtrail import semconv
from backtrail_query.outcomes import Policy
from backtrail_query.records import payload
from backtrail_store.rows import SpanRow


def find_damage(source: SpanRow, policy: Policy) -> str | None:
    """Why the answer on this span cannot be given: cut on the way, or too long to be kept. None if it can."""
    name = {"cached": semconv.STEP_RESULT, "raise": semconv.STEP_ERROR}.get(policy)
    if name is not None and (damage := _find_damage_of(source, name)) is not None:
        return damage
    is_stream = semconv.STEP_STREAM in source.attributes or semconv.STEP_STREAM in _digests(source)
    if not is_stream or policy not in ("cached", "raise", "hang"):
        return None
    return _find_damage_of(source, semconv.STEP_STREAM) or _find_cut(payload(source, semconv.STEP_STREAM))


def _find_cut(stream: object) -> str | None:
    """A stream of which not every item was kept cannot be given."""
    match stream:
        case {"count": int(count), "chunks": list(chunks)}:
            return None if len(chunks) == count else "too_large"
    return "not_captured"


def _find_damage_of(source: SpanRow, name: str) -> str | None:
    value = source.attributes.get(name)
    if not isinstance(value, str) or not _has_its_digest(source, name, value):
        return "digest_mismatch"
    match payload(source, name):
        case {"$t": "truncated"}:
            return "too_large"
    return None


def _has_its_digest(source: SpanRow, name: str, value: str) -> bool:
    match _digests(source).get(name):
        case [int(length), str(digest)]:
            encoded = value.encode()
            return len(encoded) == length and sha256(encoded).hexdigest() == digest
    return _parses(value)


def _digests(span: SpanRow) -> dict[str, object]:
    digests = payload(span, semconv.DIGESTS)
    return digests if isinstance(digests, dict) else {}


def _parses(value: str) -> bool:
    try:
        from_json(value, allow_inf_nan=False)
    except ValueError:
        return False
    return True

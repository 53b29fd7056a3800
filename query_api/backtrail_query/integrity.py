"""Whether a recorded answer is the one that was given: its digest was taken before it left the program. Pure.

records → **integrity** → lineage
"""

from hashlib import sha256

from pydantic_core import from_json

from backtrail import semconv
from backtrail_query.outcomes import Policy
from backtrail_query.records import payload
from backtrail_store.rows import SpanRow


def is_intact(source: SpanRow, policy: Policy) -> bool:
    """The answer's text is the one the SDK took the digest of; a foreign exporter may have cut it."""
    name = {"cached": semconv.STEP_RESULT, "raise": semconv.STEP_ERROR}.get(policy)
    if name is None:
        return True
    value = source.attributes.get(name)
    if not isinstance(value, str):
        return False
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

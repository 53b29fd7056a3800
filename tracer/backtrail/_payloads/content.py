"""Payloads on their way onto a span: text of bounded size.

    encoded value → **payload text** → span attribute → contents table

Above the limit the text is replaced by its length, its hash and its head: the page can say what was
there, and no replay takes a part for the whole.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from backtrail import _late, semconv

HEAD_BYTES = 65_536
DEFAULT_MAX_PAYLOAD_BYTES = 4_194_304

PAYLOAD_ATTRIBUTES = frozenset(
    {
        semconv.GEN_AI_TOOL_CALL_ARGUMENTS,
        semconv.GEN_AI_TOOL_CALL_RESULT,
        semconv.GEN_AI_TOOL_DEFINITIONS,
        semconv.GEN_AI_SYSTEM_INSTRUCTIONS,
        semconv.GEN_AI_INPUT_MESSAGES,
        semconv.GEN_AI_OUTPUT_MESSAGES,
        semconv.RUN_INPUT,
        semconv.RUN_RESULT,
        semconv.RUN_ERROR,
        semconv.RUN_CONTEXT,
        semconv.AGENT_METADATA,
        semconv.AGENT_INPUT,
        semconv.AGENT_RESULT,
        semconv.AGENT_ERROR,
        semconv.STEP_INPUT,
        semconv.STEP_RESULT,
        semconv.STEP_STREAM,
        semconv.STEP_ERROR,
        semconv.STEP_DELTAS,
        semconv.ATTEMPT_ERROR,
        semconv.STATE_DELTAS,
        semconv.CHECKPOINT_VALUES,
        semconv.CHECKPOINT_EXTRA,
        semconv.EFFECT_VALUE,
    }
)


def json_text(encoded: Any) -> str:
    """The text of encoded JSON, keys in the order they came; the canonical text sorts them."""
    return _late.pydantic_core.to_json(encoded).decode()


def is_over(text: str, limit: int) -> bool:
    # Characters bound bytes from both sides; most texts are decided without encoding them.
    return len(text) > limit or (len(text) * 4 > limit and not text.isascii() and len(text.encode()) > limit)


def payload_text(encoded: Any, limit: int) -> str:
    """The JSON text of an encoded value, or of its truncated stand-in."""
    return limited(json_text(encoded), limit)


def limited(text: str, limit: int) -> str:
    """The text, or its truncated stand-in."""
    return truncated_text(text, limit) if is_over(text, limit) else text


def truncated_text(text: str, limit: int) -> str:
    return json_text(truncated(text, limit))


def truncated(text: str, limit: int) -> dict[str, Any]:
    """What stands in for a text over the limit, and stays under it even where its head is all escapes."""
    data = text.encode()
    head = data[: min(HEAD_BYTES, limit // 8)].decode("utf-8", "ignore")
    return {"$t": "truncated", "v": {"bytes": len(data), "sha256": sha256(data).hexdigest(), "head": head}}


def digests_text(attributes: Mapping[str, Any]) -> str | None:
    """`{attribute: [bytes, sha256]}` of the payloads among the attributes."""
    digests = {}
    for name in attributes.keys() & PAYLOAD_ATTRIBUTES:
        if isinstance(text := attributes[name], str):
            data = text.encode("utf-8", "surrogatepass")
            digests[name] = [len(data), sha256(data).hexdigest()]
    return json_text(dict(sorted(digests.items()))) if digests else None

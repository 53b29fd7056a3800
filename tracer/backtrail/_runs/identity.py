"""Who a step is: names that two runs of the same program agree on.

    call → scope, occurrence → **step_key, loose_key** → matching in a replay

Every key is a hash over a JSON array, never over joined strings, and the run's id is in none of
them. The texts are put together by hand from parts that are cached per function and scope; a test
holds them equal to `H([...])`.
"""

import json
from dataclasses import dataclass
from typing import Any

from backtrail.canonical import H, text_hash

KEY_LENGTH = 32
Frame = tuple[str, str] | tuple[str, str, int]
AgentPath = tuple[tuple[str, int], ...]

json_string = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class StepCall:
    """One call of a step, named and numbered at the moment of the call."""

    step_key: str
    loose_key: str
    agent_key: str
    agent_name: str
    scope: str
    name: str
    explicit_key: str | None
    version: str | None
    occurrence: int
    input_hash: str
    input: Any
    seq_start: int
    code_hash: str | None = None
    is_ambiguous: bool = False


def agent_key(path: AgentPath, scope: tuple[Frame, ...]) -> str:
    return H(["1", "agent", [list(part) for part in path], [list(frame) for frame in scope]])[:KEY_LENGTH]


def ident_text(explicit_key: str | None, input_hash: str) -> str:
    if explicit_key is None:
        return f'["input","{input_hash}"]'
    return f'["key",{json_string(explicit_key)}]'


def step_key(agent: str, scope_text: str, name: str, version: str, ident: str, occurrence: int) -> str:
    """`name` and `version` are JSON texts here (`"search"`, `null`), like the scope and the ident."""
    return text_hash(f'["1","step","{agent}",{scope_text},{name},{version},{ident},{occurrence}]')[:KEY_LENGTH]


def loose_key(agent_name: str, name: str, input_hash: str) -> str:
    """Both names are JSON texts."""
    return text_hash(f'["1","loose",{agent_name},{name},"{input_hash}"]')[:KEY_LENGTH]


def idempotency_key(lineage_id: str, key: str) -> str:
    return H([lineage_id, key])

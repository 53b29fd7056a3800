"""What was redacted when a run was recorded, and has to be known to call it again.

    bundle.run, replay(inputs=…) → **redacted inputs** → restoring → the user's function

An argument is believed if it is, after redaction, what the record holds. Rules and keys other than the recorded
run's are named before anything runs: under them no hash would fit.
"""

from collections.abc import Mapping
from typing import Any

from backtrail._replay.bundle import RunRecord
from backtrail._replay.divergence import Divergence
from backtrail._spans.recorder import Recorder
from backtrail.errors import ReplayError

from .codec import encode


def is_redacted(encoded: object) -> bool:
    """Whether something in this recorded value was removed."""
    waiting = [encoded]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if one.get("$t") == "redacted":
                return True
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
    return False


def check_inputs(run: RunRecord, inputs: Mapping[str, Any], recorder: Recorder) -> Mapping[str, Any]:
    """The run's input as recorded. What of it was redacted is given again, nothing else is, and each is what it was."""
    recorded = run.input
    if not isinstance(recorded, dict):
        raise ReplayError(
            f'the record of run {run.run_id} does not hold the run\'s input, as under capture="metadata": '
            "it cannot be called again as it was"
        )
    redacted = {name for name, value in recorded.items() if is_redacted(value)}
    if missing := sorted(redacted - inputs.keys()):
        example = ", ".join(f'"{name}": …' for name in missing)
        raise ReplayError(
            f"{', '.join(missing)} of run {run.run_id} was redacted when it was recorded. "
            f"Give it again: replay(…, inputs={{{example}}})."
        )
    if needless := sorted(inputs.keys() - redacted):
        raise ReplayError(f"inputs= supplies what was redacted, and {', '.join(needless)} of run {run.run_id} was not")
    if other := [name for name in inputs if _recorded(inputs[name], name, recorder) != recorded[name]]:
        raise ReplayError(f"{', '.join(other)} given by inputs= is not what run {run.run_id} was called with")
    return recorded


def _recorded(value: Any, name: str, recorder: Recorder) -> object:
    json = recorder.redaction.json({name: encode(value).json})
    return json.get(name) if isinstance(json, dict) else None


def check_rules(run: RunRecord, recorder: Recorder) -> list[Divergence]:
    """Whether this process hashes and redacts as the recorded one did."""
    if run.hash_key_id != recorder.hashing.key_id:
        was = "with another hash_key" if run.hash_key_id and recorder.hashing.key_id else "with a hash_key"
        was = was if run.hash_key_id else "without a hash_key"
        raise ReplayError(f"run {run.run_id} was recorded {was}: no step would be found. Set it in configure().")
    if run.redaction is None or run.redaction == recorder.redaction.description:
        return []
    detail = f"recorded with redact={run.redaction}, replayed with {recorder.redaction.description}: hashes may differ"
    return [Divergence(kind="redaction_changed", name=run.name, step_key=None, detail=detail)]

"""One recorded call as the bundle carries it: identity, outcome, and the payloads from where it really ran.

lineage → **bundle_steps** → bundle
"""

from hashlib import sha256
from typing import TypeAlias

from backtrail import semconv
from backtrail.canonical import canonical_text
from backtrail_query.attempts import AttemptRecord
from backtrail_query.deltas import write_delta
from backtrail_query.lineage import Lineage, Recorded
from backtrail_query.records import integer, payload, text
from backtrail_query.views import usd
from backtrail_store.rows import SpanRow

JsonObject: TypeAlias = dict[str, object]

ANSWERS = ("cached", "raise", "hang")


def write_step(recorded: Recorded, lineage: Lineage) -> JsonObject:
    step, outcome, source = recorded.step, recorded.outcome, recorded.source
    is_cached = outcome.policy == "cached"
    result = payload(source, semconv.STEP_RESULT) if source is not None and is_cached else None
    result_text = canonical_text(result).encode() if is_cached else None
    return {
        "step_key": step.step_key,
        "loose_key": step.loose_key,
        "agent_key": step.agent_key,
        "agent_name": step.span.agent_name,
        "scope": step.scope,
        "name": step.name,
        "kind": step.kind,
        "occurrence": step.occurrence,
        "explicit_key": step.explicit_key,
        "version": step.version,
        "generation": recorded.generation,
        "seq_start": step.seq_start,
        "seq_end": step.seq_end,
        "end_batch": step.end_batch,
        "status": step.status,
        "handled": outcome.handled,
        "replay_policy": outcome.policy,
        "policy_reason": outcome.reason,
        "input_hash": step.input_hash,
        "hash_alg": text(step.span, semconv.STEP_HASH_ALG) or "sorted-json-sha256/1",
        "hash_excluded": payload(step.span, semconv.STEP_HASH_EXCLUDED) or [],
        "input": payload(source, semconv.STEP_INPUT) if source is not None else None,
        "result": result,
        "result_type": text(source, semconv.STEP_RESULT_TYPE) if source is not None else None,
        "result_sha256": None if result_text is None else sha256(result_text).hexdigest(),
        "result_bytes": None if result_text is None else len(result_text),
        "error": payload(source, semconv.STEP_ERROR) if source is not None else None,
        "stream": payload(source, semconv.STEP_STREAM) if source is not None and outcome.policy in ANSWERS else None,
        "attempts": [_write_attempt(attempt) for attempt in recorded.attempts],
        "deltas": _write_deltas(recorded, lineage),
        "side_effect": step.side_effect,
        "idempotency_key": text(step.span, semconv.STEP_IDEMPOTENCY_KEY),
        "code_hash": text(step.span, semconv.STEP_CODE_HASH),
        "tokens": _tokens(source),
        "cost_usd": usd(source.cost_usd) if source is not None else None,
        "source": recorded.source and {"run_id": recorded.source_run_id, "span_id": recorded.source_span_id},
    }


def _write_attempt(attempt: AttemptRecord) -> JsonObject:
    error = {} if attempt.error is None else {"error": attempt.error}
    return {"n": attempt.n, "status": attempt.status, **error}


def _write_deltas(recorded: Recorded, lineage: Lineage) -> list[JsonObject]:
    """The step's own deltas and those that were too long for its span."""
    overflow = lineage.generation(recorded.generation).overflow.get(recorded.step.step_key, ())
    return [write_delta(delta) for delta in sorted([*recorded.step.deltas, *overflow], key=lambda delta: delta.seq)]


def _tokens(source: SpanRow | None) -> int | None:
    if source is None:
        return None
    if source.input_tokens is None and source.output_tokens is None:
        return integer(source, semconv.STEP_TOKENS)
    return (source.input_tokens or 0) + (source.output_tokens or 0)

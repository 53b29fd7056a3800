"""Everything a replay needs to know of a run, in pages that name their own bytes.

    lineage, outcomes, fold → **bundle** → routes/replay.py → Client.replay

The client trusts nothing: so each page has a digest over its canonical text and each result one of its own. The page
itself keeps the order of keys as they were recorded, since a program may have made a prompt of a dict.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from pydantic_core import to_json

from backtrail import semconv
from backtrail.canonical import canonical_text
from backtrail_query.at import parse_at, resolve_target
from backtrail_query.bundle_steps import write_step
from backtrail_query.deltas import Values, merge_parts
from backtrail_query.errors import BadParameter, CheckpointGap, NotFound, QueryError
from backtrail_query.evidence import gather_evidence, missing_numbers
from backtrail_query.lineage import Generation, Lineage, Recorded
from backtrail_query.outcomes import Target
from backtrail_query.records import RunRecords, payload, text
from backtrail_query.state import StateJson, read_state
from backtrail_query.tree import count_lost
from backtrail_store.rows import RunStatus, SpanRow
from backtrail_store.values import json_value

SCHEMA = "replay-bundle/1"
PAGE_BYTES = 16 << 20
MODES = ("resume",)

JsonObject: TypeAlias = dict[str, object]
OpenStatus: TypeAlias = Callable[[int], RunStatus]


class NotReplayable(QueryError):
    """There is such a trace, but nothing to replay in it. Answer 409."""

    status = 409
    title = "This run cannot be replayed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to replay and how: the request, checked."""

    mode: str
    at: str

    @classmethod
    def of(cls, mode: str, at: str | None) -> "Wish":
        if mode not in MODES:
            raise BadParameter(f"mode {mode[:40]!r} is not available; there is {', '.join(map(repr, MODES))}")
        return cls(mode=mode, at=at or "failure")


def build_page(lineage: Lineage, wish: Wish, *, open_status: OpenStatus, cursor: str | None) -> bytes:
    """One page as JSON, the digest of its canonical text included."""
    run_records = lineage.newest.records
    target = resolve_target(parse_at(wish.at), run_records)
    recorded = lineage.steps(target)
    target_view = _write_target(run_records, wish, target)
    steps, next_cursor = _cut_page(recorded, lineage, cursor)
    page: JsonObject = {
        "schema": SCHEMA,
        "run": _write_run(lineage.newest, open_status, initial_state=_initial_state(lineage)),
        "lineage": [_write_generation(generation) for generation in lineage.generations],
        "target": target_view,
        "completeness": _completeness(run_records, recorded, lineage),
        "agents": list(_write_agents(lineage)),
        "steps": steps,
        "effects": _write_effects(lineage) if cursor is None else [],
        "state": _state(run_records, wish.at) if cursor is None else None,
        "checkpoints": list(_write_checkpoints(run_records)) if cursor is None else [],
        "page": {"next": next_cursor},
    }
    return to_json({**page, "sha256": sha256(canonical_text(page).encode()).hexdigest()})


def _cut_page(
    recorded: Sequence[Recorded], lineage: Lineage, cursor: str | None
) -> tuple[list[JsonObject], str | None]:
    """Steps from the cursor on, until the page is full; one step always fits."""
    start = _position(recorded, cursor)
    steps: list[JsonObject] = []
    size = 0
    for index in range(start, len(recorded)):
        step = write_step(recorded[index], lineage)
        size += len(to_json(step))
        if steps and size > PAGE_BYTES:
            return steps, recorded[index].step.step_key
        steps.append(step)
    return steps, None


def _position(recorded: Sequence[Recorded], cursor: str | None) -> int:
    if cursor is None:
        return 0
    for index, one in enumerate(recorded):
        if one.step.step_key == cursor:
            return index
    raise BadParameter("the cursor is not of this bundle; leave it out to begin anew")


# --- the run ------------------------------------------------------------------------------------------------


def _write_run(generation: Generation, open_status: OpenStatus, *, initial_state: object) -> JsonObject:
    run = generation.records.run
    assert run is not None
    return {
        "run_id": generation.run_id,
        "root_span_id": run.span_id,
        "name": text(run, semconv.RUN_NAME) or run.name,
        "status": _run_status(generation, open_status),
        "input": payload(run, semconv.RUN_INPUT),
        "result": payload(run, semconv.RUN_RESULT),
        "error": _run_error(run),
        "entrypoint": text(run, semconv.RUN_ENTRYPOINT),
        "entry_code_hash": text(run, semconv.RUN_ENTRY_CODE_HASH),
        "service_version": json_value(run.resource.get(semconv.SERVICE_VERSION)),
        "sdk_version": text(run, semconv.SDK_VERSION),
        "python": text(run, semconv.PYTHON),
        "context": payload(run, semconv.RUN_CONTEXT),
        "context_hash": text(run, semconv.RUN_CONTEXT_HASH),
        "redaction": text(run, semconv.RUN_REDACTION),
        "hash_key_id": text(run, semconv.RUN_HASH_KEY_ID),
        "conversation_id": run.conversation_id or None,
        "initial_state": initial_state,
    }


def _run_status(generation: Generation, open_status: OpenStatus) -> str:
    """Without an end it is running as long as there are signs of life, and incomplete afterwards."""
    if generation.status != "incomplete":
        return generation.status
    return open_status(max(span.received_unix_nano for span in generation.records.spans))


def _run_error(run: SpanRow) -> object:
    error = payload(run, semconv.RUN_ERROR)
    return {**error, "step_key": text(run, semconv.RUN_FAILED_STEP_KEY)} if isinstance(error, dict) else error


def _write_generation(generation: Generation) -> JsonObject:
    return {
        "run_id": generation.run_id,
        "mode": generation.mode,
        "generation": generation.number,
        "status": generation.status,
        "at": generation.at,
    }


def _write_target(records: RunRecords, wish: Wish, target: Target) -> JsonObject:
    assert records.run is not None
    step_key = target.step_key or (records.failed_step_key if wish.at == "failure" else None)
    called = next((step for step in records.steps if step.step_key == step_key), None)
    return {
        "mode": wish.mode,
        "at": wish.at,
        "step_key": step_key,
        "seq": target.seq if called is None else called.seq_start,
        "lineage_id": text(records.run, semconv.RUN_LINEAGE_ID) or records.run.trace_id,
        "reuse": "matching",
    }


def _completeness(records: RunRecords, recorded: Iterable[Recorded], lineage: Lineage) -> JsonObject:
    missing = missing_numbers(gather_evidence(records))
    pending = [span.span_id for span in records.spans if span.is_pending]
    lost = count_lost(records.spans)
    refused = [
        {"step_key": one.step.step_key, "reason": one.outcome.reason, "detail": one.step.name}
        for one in recorded
        if one.outcome.policy == "refuse" and one.outcome.reason != "unknown_outcome"
    ]
    return {
        "complete": not (missing or pending or lost or lineage.missing_run_ids),
        "seq_max": records.seq_max,
        "missing_numbers": sorted(number for numbers in missing.values() for number in numbers),
        "pending": pending,
        "lost": lost,
        "truncated": [one["step_key"] for one in refused if one["reason"] == "too_large"],
        "unreplayable": refused,
        "missing_runs": lineage.missing_run_ids,
    }


# --- its parts ----------------------------------------------------------------------------------------------


def _write_agents(lineage: Lineage) -> Iterator[JsonObject]:
    seen: set[str] = set()
    for generation in lineage.generations:
        for agent in generation.records.agents:
            if agent.agent_key in seen:
                continue
            seen.add(agent.agent_key)
            yield {
                "agent_key": agent.agent_key,
                "path": agent.path,
                "name": agent.name,
                "parent": agent.parent_key,
                "depth": agent.depth,
                "is_default": agent.is_default,
                "status": agent.status,
            }


def _write_effects(lineage: Lineage) -> list[JsonObject]:
    return [
        {
            "key": effect.key,
            "seq": effect.seq,
            "scope": effect.scope,
            "name": effect.name,
            "occurrence": effect.occurrence,
            "value": effect.value,
        }
        for effect in lineage.effects()
    ]


def _write_checkpoints(records: RunRecords) -> Iterator[JsonObject]:
    for snapshot in records.snapshots:
        if snapshot.part == 1:
            yield {
                "checkpoint_id": snapshot.checkpoint_id,
                "name": snapshot.name,
                "seq": snapshot.seq,
                "after_step_key": snapshot.after_step_key,
                "root": snapshot.root,
            }


def _initial_state(lineage: Lineage) -> Values:
    """What the run began with: the snapshot every run makes before its first line, in one part or in several."""
    return merge_parts(snapshot.values for snapshot in lineage.newest.records.snapshots if snapshot.seq == 0)


def _state(records: RunRecords, at: str) -> StateJson | None:
    """The state a resume rebuilds, for people and for comparison; a gap leaves it out and stops nothing."""
    try:
        return read_state(records, at, "effective")
    except CheckpointGap:
        return None
    except NotFound:  # `failure` of a run that has not failed: all of it is its past
        return _state(records, "end")

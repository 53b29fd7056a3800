"""What was read beside what was written; every difference is a sentence.

reading → **comparison** with runs → tally
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from backtrail import semconv
from backtrail_server.soak.runs import SoakRun, plain_value

Json = Mapping[str, Any]
STATUS = {Status.STATUS_CODE_UNSET: "unset", Status.STATUS_CODE_OK: "ok", Status.STATUS_CODE_ERROR: "error"}
SUMS = (
    "span_count",
    "agent_count",
    "step_count",
    "error_count",
    "llm_calls",
    "input_tokens",
    "output_tokens",
    "cost_usd",
)


def is_whole(run: SoakRun, spans: Iterable[Json]) -> bool:
    """Everything that was acknowledged is there in its last form; whether it is right is another question."""
    finished = {span["span_id"] for span in spans if not span["is_pending"]}
    return all(span.span_id.hex() in finished for span in run.spans)


def differences_of_trace(run: SoakRun, spans: Iterable[Json]) -> Iterator[str]:
    """GET /api/v1/traces/{id}."""
    read: dict[str, Json] = {}
    for span in spans:
        if span["span_id"] in read:
            yield f"span {span['span_id']} is there twice"
        read[span["span_id"]] = span
    for wanted in run.spans:
        found = read.pop(wanted.span_id.hex(), None)
        if found is None:
            yield f"span {wanted.span_id.hex()} is missing"
        else:
            yield from differences(f"span {wanted.span_id.hex()}", expected_span(wanted), found)
    for id_ in read:
        yield f"span {id_} was never sent"


def expected_span(span: Span) -> dict[str, object]:
    return {
        "parent_span_id": span.parent_span_id.hex() or None,
        "name": span.name,
        "start_time_unix_nano": span.start_time_unix_nano,
        "end_time_unix_nano": span.end_time_unix_nano,
        "is_pending": False,
        "status": {"code": STATUS[span.status.code], "message": span.status.message},
        "attributes": {one.key: plain_value(one.value) for one in span.attributes},
        "events": [
            (event.name, event.time_unix_nano, {one.key: plain_value(one.value) for one in event.attributes})
            for event in span.events
        ],
    }


def differences_of_summary(run: SoakRun, found: Json) -> Iterator[str]:
    """GET /api/v1/runs/{id}, or one run of GET /api/v1/runs."""
    yield from differences(f"run {run.id}", expected_summary(run), found)


def expected_summary(run: SoakRun) -> dict[str, Any]:
    attributes = [{one.key: plain_value(one.value) for one in span.attributes} for span in run.spans]

    def total(key: str) -> Any:
        return sum(found[key] for found in attributes if key in found)

    def count(kind: str) -> int:
        return sum(found[semconv.KIND] == kind for found in attributes)

    return {
        "run_id": run.id,
        "name": run.name,
        "status": "failed" if run.failed else "completed",
        "start_time_unix_nano": run.start_time_unix_nano,
        "conversation_id": run.conversation_id,
        "span_count": len(run.spans),
        "agent_count": count("agent"),
        "step_count": count("step"),
        "error_count": sum(span.status.code == Status.STATUS_CODE_ERROR for span in run.spans),
        "replayed_count": 0,
        "lost_count": 0,
        "llm_calls": sum(semconv.GEN_AI_USAGE_COST in found for found in attributes),
        "input_tokens": total(semconv.GEN_AI_USAGE_INPUT_TOKENS),
        "output_tokens": total(semconv.GEN_AI_USAGE_OUTPUT_TOKENS),
        "cost_usd": total(semconv.GEN_AI_USAGE_COST),
        "unpriced_calls": 0,
    }


def differences(what: str, expected: Json, found: Json) -> Iterator[str]:
    for key, value in expected.items():
        seen = found.get(key)
        if key == "events":
            seen = [(event["name"], event["time_unix_nano"], event["attributes"]) for event in seen or ()]
        if isinstance(value, Mapping) and isinstance(seen, Mapping):
            yield from differences(f"{what}, {key}", value, seen)
            for extra in seen.keys() - value.keys():
                yield f"{what}, {key}: {extra} is {seen[extra]!r:.80} and was never sent"
        elif seen != value or type(seen) is not type(value):
            yield f"{what}: {key} is {seen!r:.80} and should be {value!r:.80}"


def empty_sums() -> dict[str, float]:
    """What many runs add up to, to be filled by `add_sums`."""
    return dict.fromkeys(SUMS, 0.0)


def add_sums(totals: dict[str, float], summary: Json) -> None:
    for key in SUMS:
        totals[key] += summary[key] or 0

"""Recorded runs for tests of replay bundles: rows as the store gives them, read back by the client's own reader."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from backtrail import semconv
from backtrail._replay.bundle import Bundle, StepRecord, join_pages, parse_page
from backtrail.canonical import canonical_text
from backtrail_query.bundle import Wish, build_page
from backtrail_query.lineage import load_lineage
from backtrail_store.rows import SpanRow
from tests.query_api.spans import span

RUN, OLDER = "1" * 32, "2" * 32


def run(status: Any = "failed", **attributes: Any) -> SpanRow:
    recorded = {semconv.RUN_STATUS: status, semconv.RUN_NAME: "handle", semconv.RUN_INPUT: '{"q":"hi"}'}
    return span(
        f"{1:016x}",
        kind="run",
        attributes={**recorded, **attributes},
        status_code="error" if status == "failed" else "ok",
    )


def step(key: str, seq: int, status: str = "completed", *, scope: Any = (), result: Any = None, **more: Any) -> SpanRow:
    text = more.pop("text", canonical_text(result))
    attributes = {
        semconv.STEP_NAME: more.pop("name", "search"),
        semconv.STEP_STATUS: status,
        semconv.STEP_SCOPE: canonical_text(scope),
        semconv.STEP_SEQ_START: seq,
        semconv.STEP_SEQ_END: more.pop("seq_end", seq + 1),
        semconv.STEP_END_BATCH: seq,
        semconv.STEP_OCCURRENCE: more.pop("occurrence", 0),
        semconv.STEP_INPUT_HASH: more.pop("input_hash", "same"),
        semconv.STEP_LOOSE_KEY: "loose",
        semconv.STEP_INPUT: '{"q":"hi"}',
    }
    if status == "completed":
        attributes[semconv.STEP_RESULT] = text
        digest = [len(text.encode()), sha256(text.encode()).hexdigest()]
        attributes[semconv.DIGESTS] = canonical_text({semconv.STEP_RESULT: digest})
    elif status == "failed":
        attributes[semconv.STEP_ERROR] = '{"type":"ValueError","module":"builtins","message":"no"}'
    is_pending = status == "incomplete"
    replayed = more.pop("replayed", False)
    return span(
        f"{seq + 1000:016x}",
        attributes={**attributes, **more},
        step_key=key,
        seq=seq,
        is_pending=is_pending,
        replayed=replayed,
        agent_name="support",
        agent_key="agent",
    )


def bundles(*spans: SpanRow, at: str = "failure", others: dict[str, Sequence[SpanRow]] | None = None) -> Bundle:
    traces = {RUN: spans, **(others or {})}
    lineage = load_lineage(lambda run_id: traces.get(run_id, ()), RUN, spans)
    assert lineage is not None
    wish = Wish.of("resume", at)
    pages = [parse_page(build_page(lineage, wish, open_status=lambda _: "incomplete", cursor=None))]
    while pages[-1].page.next is not None:
        body = build_page(lineage, wish, open_status=lambda _: "incomplete", cursor=pages[-1].page.next)
        pages.append(parse_page(body))
    return join_pages(pages)


def policies(found: Bundle) -> dict[str, tuple[str, str]]:
    return {one.step_key: (one.replay_policy, one.policy_reason) for one in found.steps}


def only(found: Bundle, key: str) -> StepRecord:
    return next(one for one in found.steps if one.step_key == key)

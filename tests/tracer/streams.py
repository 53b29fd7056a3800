"""What the tests of streams share: two generators that are steps, and what their spans say."""

import asyncio
import json
from collections.abc import AsyncGenerator, Generator, Iterator
from typing import Any

import backtrail
from backtrail import semconv
from backtrail.testing import CapturedSpans


def upto(n: int) -> Iterator[int]:
    yield from range(n)


@backtrail.step
def count(n: int) -> Generator[int, str, str]:
    """Counts, and says so."""
    yield from range(n)
    return "counted"


@backtrail.step(kind="llm")
async def words(n: int) -> AsyncGenerator[str, None]:
    for i in range(n):
        await asyncio.sleep(0)
        yield f"word {i}"


@backtrail.step
def look_up(word: str) -> str:
    return word.upper()


def attributes(spans: CapturedSpans, name: str) -> dict[str, Any]:
    return dict(spans.named(name).attributes or {})


def every(spans: CapturedSpans, kind: str) -> list[dict[str, Any]]:
    """The attributes of each span of this kind, in the order they ended."""
    return [dict(span.attributes or {}) for span in spans.of_kind(kind)]


def stream(spans: CapturedSpans, name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(attributes(spans, name)[semconv.STEP_STREAM])
    return told


def status(spans: CapturedSpans, name: str) -> tuple[str, str, int]:
    told = stream(spans, name)
    assert told["complete"] is (told["closed_by"] == "end")
    return attributes(spans, name)[semconv.STEP_STATUS], told["closed_by"], told["count"]

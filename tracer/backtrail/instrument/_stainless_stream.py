"""Streamed answers of Stainless clients: each piece is recorded as JSON on its way to the caller.

    request(stream=True) → the client's stream → **pieces** → step(stream=True) → the same stream → caller

The caller has the client's own stream object. In a replay its bytes come from the record and the client's own code
reads them.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

from backtrail._boundary import never_raise

from ._stainless import StainlessCall

_noting = never_raise("noting what a stream came to")


class StainlessStream(StainlessCall):
    """One request whose answer comes in pieces."""

    is_stream = True
    _result: Any = None
    _pieces: _Pieces | None = None

    def recorded(self, answer: Any) -> Any:
        pieces = answer._iterator
        self._pieces = _AsyncPieces(self, pieces) if hasattr(pieces, "__anext__") else _Pieces(self, pieces)
        return self._pieces

    def note(self, pieces: list[Any]) -> None:
        """All that came has come."""
        with _noting:
            if self.step is not None and pieces:
                self.step.record_llm(**self._endpoint.said(self._body, self._endpoint.joined(pieces)))

    def given(self, result: Any) -> Any:
        self._result = result
        return super().given(result)

    def parsed(self, answer: Any) -> Any:
        """The client's stream, reading through the recording, and ending it when it is closed."""
        result, reference = self._result, weakref.ref(answer)
        if self.is_answered:
            if self._pieces is None:
                return super().parsed(result)
            answer._iterator = _handed_on(result, self._pieces)

        def close() -> Any:
            result.close()
            stream: Any = reference()
            return type(stream).close(stream)

        answer.close = close
        return super().parsed(answer)

    def _content(self, result: Any) -> tuple[str, Any]:
        events = _events_async(result) if hasattr(result, "__anext__") else _events(result)
        return "text/event-stream", events


class _Pieces:
    """The pieces as JSON; `piece` is the last one as the client made it."""

    def __init__(self, call: StainlessStream, pieces: Any) -> None:
        self._call = call
        self._pieces = pieces
        self._seen: list[Any] = []
        self.piece: Any = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            self.piece = next(self._pieces)
        except BaseException:
            self.close()
            raise
        return self._keep()

    def _keep(self) -> Any:
        with _noting:
            self._seen.append(self.piece.to_dict(mode="json", warnings=False))
            return self._seen[-1]
        return self.piece

    def close(self) -> None:
        self._call.note(self._seen)
        self._seen = []


class _AsyncPieces(_Pieces):
    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            self.piece = await anext(self._pieces)
        except BaseException:
            self.close()
            raise
        return self._keep()


def _handed_on(recorded: Any, pieces: Any) -> Any:
    return _each_async(recorded, pieces) if hasattr(type(recorded), "__anext__") else _each(recorded, pieces)


def _each(recorded: Any, pieces: Any) -> Iterator[Any]:
    for _ in recorded:
        yield pieces.piece


async def _each_async(recorded: Any, pieces: Any) -> AsyncIterator[Any]:
    async for _ in recorded:
        yield pieces.piece


def _event(piece: Any) -> bytes:
    kind = piece.get("type") if isinstance(piece, dict) else None
    name = f"event: {kind}\n" if isinstance(kind, str) else ""
    return f"{name}data: {json.dumps(piece)}\n\n".encode()


_DONE = b"data: [DONE]\n\n"


def _events(served: Any) -> Iterator[bytes]:
    for piece in served:
        yield _event(piece)
    yield _DONE


async def _events_async(served: Any) -> AsyncIterator[bytes]:
    async for piece in served:
        yield _event(piece)
    yield _DONE

"""Streams that are objects of their own, as clients of models return them: handed on, and recorded on the way.

    function → its stream → **recorded object** → consumer
    record → ReplayedStream → **served object** → consumer

A recorded object has every attribute of the one it stands for, `isinstance` included. A served one has what reading
needs: iteration, closing, and both kinds of `with`.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import AsyncGeneratorType, GeneratorType
from typing import TYPE_CHECKING, Any, Self

from backtrail._contexts.done import DONE, Done

from .streaming import Recording, Streaming, generate, generate_async

if TYPE_CHECKING:
    from backtrail._replay.replayed_stream import ReplayedStream

_CONTAINERS = (str, bytes, bytearray, memoryview, list, tuple, dict, set, frozenset)


def follow(stream: Streaming, result: Any) -> Any:
    """The stream a function returned, recorded from here on. Anything else is its result."""
    cls = type(result)
    if cls is GeneratorType:
        stream.pause()
        return generate(lambda: (_resumed(stream), result))
    if cls is AsyncGeneratorType:
        stream.pause()

        async def opened() -> tuple[Recording, Any]:
            return _resumed(stream), result

        return generate_async(opened)
    is_async = any(hasattr(cls, name) for name in ("__anext__", "__aiter__", "__aenter__"))
    is_stream = is_async or any(hasattr(cls, name) for name in ("__next__", "__iter__", "__enter__"))
    if not is_stream or isinstance(result, _CONTAINERS):
        stream.leave(result)
        return result
    stream.pause()
    return RecordedAsyncIterator(result, stream) if is_async else RecordedIterator(result, stream)


def _resumed(stream: Streaming) -> Streaming:
    stream.resume()
    return stream


class _Recorded:
    """Stands for an object that gives items one by one."""

    def __init__(self, inner: Any, stream: Streaming) -> None:
        self._inner = inner
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        return self._closing(value) if name in ("close", "aclose") else value

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._inner)

    def _closing(self, close: Callable[..., Any]) -> Callable[..., Any]:
        def closed(*args: Any, **kwargs: Any) -> Any:
            outcome = close(*args, **kwargs)
            if inspect.isawaitable(outcome):
                return self._closed_after(outcome)
            self._stream.end(closed_by="consumer")
            return outcome

        return closed

    async def _closed_after(self, outcome: Awaitable[Any]) -> Any:
        closed = await outcome
        self._stream.end(closed_by="consumer")
        return closed


class RecordedIterator(_Recorded):
    """One for `for` and `with`."""

    _items: Iterator[Any] | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        self._stream.resume()
        try:
            if self._items is None:
                self._items = iter(self._inner)
            item = next(self._items)
        except StopIteration:
            self._stream.end()
            self._stream.settle()
            raise
        except BaseException as error:
            self._stream.fail(error)
            raise
        self._stream.give(item)
        return item

    def __enter__(self) -> Any:
        self._stream.resume()
        try:
            entered = self._inner.__enter__()
        except BaseException as error:
            self._stream.fail(error)
            raise
        self._stream.pause()
        return self if entered is self._inner else RecordedIterator(entered, self._stream)

    def __exit__(self, *exception: Any) -> Any:
        self._stream.resume()
        try:
            outcome = self._inner.__exit__(*exception)
        except BaseException as error:
            self._stream.fail(error)
            raise
        self._stream.end(closed_by="consumer")
        return outcome


class RecordedAsyncIterator(_Recorded):
    """One for `async for` and `async with`."""

    _items: AsyncIterator[Any] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        self._stream.resume()
        try:
            if self._items is None:
                self._items = aiter(self._inner)
            item = await anext(self._items)
        except StopAsyncIteration:
            self._stream.end()
            await self._stream.settle_async()
            raise
        except BaseException as error:
            self._stream.fail(error)
            raise
        self._stream.give(item)
        return item

    async def __aenter__(self) -> Any:
        self._stream.resume()
        try:
            entered = await self._inner.__aenter__()
        except BaseException as error:
            self._stream.fail(error)
            raise
        self._stream.pause()
        return self if entered is self._inner else RecordedAsyncIterator(entered, self._stream)

    async def __aexit__(self, *exception: Any) -> Any:
        self._stream.resume()
        try:
            outcome = await self._inner.__aexit__(*exception)
        except BaseException as error:
            self._stream.fail(error)
            raise
        self._stream.end(closed_by="consumer")
        return outcome


class ServedIterator:
    """A recorded stream in the place of an object."""

    def __init__(self, replayed: ReplayedStream) -> None:
        self._items = replayed.serve()
        self._replayed = replayed

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return next(self._items)

    def close(self) -> None:
        self._replayed.close()
        self._items.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class ServedAsyncIterator:
    """The same for code with an event loop. Some clients' `close` is awaited, others' is not: this may be either."""

    def __init__(self, replayed: ReplayedStream) -> None:
        self._items = replayed.serve_async()
        self._replayed = replayed

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return await anext(self._items)

    def close(self) -> Done:
        self._replayed.close()
        return DONE

    aclose = close

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.close()
        await self._items.aclose()

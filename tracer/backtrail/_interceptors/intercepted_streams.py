"""Generators between their interceptors: asked at the first item, told at the end.

    wrap → **guard** → Interception → user's function, generator or async generator

What is closed early, or dropped, is told to nobody, as what is cancelled. The result of a function that returns a
stream is the stream itself: that is told when it is handed over.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any

from backtrail._streams.streaming import first_step

from .intercepted import Intercepted
from .interception import Interception, finished, inputs_of, intercepted, intercepted_async, is_asking

if TYPE_CHECKING:
    from backtrail._streams.streams import Nature

Function = Callable[..., Any]


def guard_of(nature: Nature | None, *, is_async: bool) -> Callable[[Function, Intercepted], Function]:
    """What puts interceptors around a function of this kind."""
    if nature == "generator":
        return _generator
    if nature == "async generator":
        return _async_generator
    return intercepted_async if is_async else intercepted


def _generator(function: Function, activity: Intercepted) -> Function:
    if is_asking():
        return function

    def run(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        interception = Interception(activity, inputs_of(function, args, kwargs), waits=False)
        finished(interception.before())
        try:
            result = yield from function(*args, **kwargs)
        except Exception as error:
            finished(interception.after(error=error))
            raise
        finished(interception.after(result))
        return result

    return run


def _async_generator(function: Function, activity: Intercepted) -> Function:
    if is_asking():
        return function

    async def run(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        interception = Interception(activity, inputs_of(function, args, kwargs), waits=True)
        await interception.before()
        body = function(*args, **kwargs)
        step = first_step(body)
        try:
            while True:
                item = await step
                try:
                    step = body.asend((yield item))
                except GeneratorExit:
                    await body.aclose()
                    raise
                except BaseException as error:
                    step = body.athrow(error)
        except StopAsyncIteration:
            pass
        except Exception as error:
            await interception.after(error=error)
            raise
        await interception.after()

    return run

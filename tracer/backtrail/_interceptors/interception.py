"""One call and its interceptors: asked before, told after, and what they stop is on the span.

    wrap, block → **Interception** → Interceptor.intercept → user's function, or InterceptedError

It stands inside the activity and around the function, so that a stop is recorded as any error of the function would
be. Interceptors are the user's code: nothing of what they raise is held back. A call without interceptors never
comes here.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from backtrail import semconv
from backtrail._boundary import never_raise
from backtrail._calls.signature import Signature
from backtrail.errors import InterceptedError

from .intercepted import Intercepted, StandIn, context_of
from .interceptors import InterceptContext, Interceptor, InterceptResult, Phase

T = TypeVar("T")

Guard = Callable[[Callable[..., Any], Intercepted], Callable[..., Any]]

_noting = never_raise("noting a stop")
_binding = never_raise("binding the inputs of a call")
INPUTS = "__backtrail_inputs__"  # on a function of ours that stands for another's: what that one's inputs are

_NO_LOOP = "no running event loop"  # in asyncio's words

_is_asking: ContextVar[bool] = ContextVar("backtrail_is_asking", default=False)
_cached_signature = functools.lru_cache(maxsize=1024)(Signature)


def is_asking() -> bool:
    """Whether an interceptor is at work. What it calls itself is not intercepted: it would have no end."""
    return _is_asking.get()


class Interception:
    """One call on its way past its interceptors. Each that let it begin is told how it ended."""

    def __init__(self, activity: Intercepted, inputs: Mapping[str, Any], *, waits: bool) -> None:
        self._activity = activity
        self._context = replace(context_of(activity), inputs=MappingProxyType(dict(inputs)))
        self._waits = waits
        self._passed: list[Interceptor] = []

    async def before(self) -> None:
        for interceptor in self._activity.interceptors:
            try:
                await self._ask(interceptor, self._context)
            except Exception as error:
                await self.after(error=error)
                raise
            self._passed.append(interceptor)

    async def after(self, result: Any = None, error: BaseException | None = None) -> None:
        """Tell what came of the call. Raises what an interceptor makes of it, if that is another error.

        Nothing is told of a cancellation, or of the end of the program: nobody may stop or delay those.
        """
        if error is not None and not isinstance(error, Exception):
            return
        outcome = error
        context = replace(self._context, phase=Phase(f"after_{self._context.kind}"))
        while self._passed:
            told = replace(context, result=result if outcome is None else None, error=outcome)
            try:
                await self._ask(self._passed.pop(), told)
            except Exception as raised:
                outcome = raised
        if outcome is not None and outcome is not error:
            raise outcome

    async def _ask(self, interceptor: Interceptor, context: InterceptContext) -> None:
        _is_asking.set(True)
        try:
            answer = interceptor.intercept(context.phase, context)
            if isinstance(answer, Awaitable):
                answer = await answer if self._waits else _at_once(answer, interceptor, context)
        finally:
            _is_asking.set(False)
        if answer is None:
            return
        if not isinstance(answer, InterceptResult):
            raise TypeError(f"{_name_of(interceptor)}.intercept returned {answer!r}, which is no InterceptResult")
        if answer.reason is not None:
            self._note(_name_of(interceptor), context.phase, answer.reason)
            raise InterceptedError(answer.reason, phase=context.phase, interceptor=_name_of(interceptor))

    def _note(self, interceptor: str, phase: Phase, reason: str) -> None:
        with _noting:
            if (span := self._activity.span) is not None:
                span.set_attributes(
                    {
                        semconv.INTERCEPTED_BY: interceptor,
                        semconv.INTERCEPTED_PHASE: str(phase),
                        semconv.INTERCEPTED_REASON: reason,
                    }
                )


def intercepted(function: Callable[..., Any], activity: Intercepted) -> Callable[..., Any]:
    """The function, with its activity's interceptors before and after it."""
    if is_asking():
        return function

    def run(*args: Any, **kwargs: Any) -> Any:
        interception = Interception(activity, inputs_of(function, args, kwargs), waits=False)
        finished(interception.before())
        try:
            result = function(*args, **kwargs)
        except Exception as error:
            finished(interception.after(error=error))
            raise
        finished(interception.after(result))
        return result

    return run


def intercepted_async(function: Callable[..., Any], activity: Intercepted) -> Callable[..., Any]:
    """The same for a coroutine function."""
    if is_asking():
        return function

    async def drive(*args: Any, **kwargs: Any) -> Any:
        interception = Interception(activity, inputs_of(function, args, kwargs), waits=True)
        await interception.before()
        try:
            result = await function(*args, **kwargs)
        except Exception as error:
            await interception.after(error=error)
            raise
        await interception.after(result)
        return result

    return drive


def unrecorded(function: Callable[..., Any], guard: Guard, call: StandIn) -> Callable[..., Any]:
    """The function of a call that is not recorded: with the interceptors that hold here, if there are any."""
    return guard(function, call) if call.interceptors else function


def of_block(activity: Intercepted, inputs: Any, *, waits: bool) -> Interception | None:
    """None where nobody is to be asked."""
    if not activity.interceptors or is_asking():
        return None
    named = inputs if isinstance(inputs, Mapping) else {} if inputs is None else {"input": inputs}
    return Interception(activity, named, waits=waits)


@contextmanager
def ending_if_stopped(end: Callable[[BaseException], None]) -> Iterator[None]:
    """An interceptor's error in this block ends what was begun: `with` will not, if entering raises."""
    try:
        yield
    except BaseException as error:
        end(error)
        raise


@contextmanager
def ending(end: Callable[[BaseException | None], None], error: BaseException | None) -> Iterator[None]:
    """What was begun ends after this block, with the interceptors' error if they raise one, else with its own."""
    outcome = error
    try:
        yield
    except BaseException as stop:
        outcome = stop
        raise
    finally:
        end(outcome)


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """What comes of a coroutine in which nothing waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("something waited where nothing can")


def _at_once(answer: Awaitable[T], interceptor: Interceptor, context: InterceptContext) -> T:
    """An interceptor's answer without an event loop: it may be a coroutine, but must not wait."""
    waiting = answer.__await__()
    waits: BaseException | None = None
    try:
        next(waiting)
    except StopIteration as done:
        result: T = done.value
        return result
    except RuntimeError as error:
        if _NO_LOOP not in str(error):
            raise
        waits = error
    waiting.close()
    raise TypeError(
        f"{_name_of(interceptor)} waits for something, but the {context.kind} {context.name!r} is not async: "
        "make it `async def` (a block: `async with`), or answer without waiting"
    ) from waits


def inputs_of(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Mapping[str, Any]:
    with _binding:
        if (named := getattr(function, INPUTS, None)) is not None:
            given: Mapping[str, Any] = named(*args, **kwargs)
            return given
        try:
            signature = _cached_signature(function)
        except TypeError:
            signature = Signature(function)  # an object that cannot be hashed
        return signature.bind(args, kwargs)
    return {"args": args, "kwargs": kwargs}


def _name_of(interceptor: Interceptor) -> str:
    return type(interceptor).__qualname__

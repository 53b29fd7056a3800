"""One call of a client as a step: inputs and answer as data, so that any version can give it back.

    wrapped method → **ClientCall** → wrap → step → the original method

The step's result is what the service answered, as plain JSON; the caller gets the client's own type, made by the
client's own code, live or from the record. Clients, keys and timeouts are no inputs.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from backtrail._boundary import never_raise
from backtrail._calls.calls import Opening, wrap
from backtrail._calls.signature import Signature
from backtrail._contexts.step_context import StepContext
from backtrail._interceptors.interception import INPUTS
from backtrail._runs.scope import current_position
from backtrail._runs.steps import StepPlan

T = TypeVar("T")

_noting = never_raise("recording what a client was answered")


class ClientCall(Generic[T]):
    """What a library's module says of one call."""

    plan: StepPlan
    inputs: dict[str, Any]

    def __init__(self) -> None:
        self.answer: T | None = None
        self.is_answered = False
        self.step: StepContext | None = None

    @abstractmethod
    def send(self) -> Any:
        """Call the original method."""

    @abstractmethod
    def recorded(self, answer: T) -> Any:
        """The answer as JSON, and on the step what it used."""

    def keep(self, answer: T) -> Any:
        """The answer is the caller's; what is recorded of it is the step's result."""
        self.answer, self.is_answered = answer, True
        with _noting:
            return self.recorded(answer)
        # Recorded as it is: a replay then says that it cannot be given back.
        return answer

    def begin(self) -> Opening | None:
        position = current_position.get()
        if position is None:
            return None
        self.step = self.plan.begin(position, self.inputs)
        return self.step, (self,), {}


def _begin(args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]) -> Opening | None:
    call: ClientCall[Any] = args[0]
    return call.begin()


def _send(call: ClientCall[T]) -> Any:
    return call.keep(call.send())


async def _send_async(call: ClientCall[T]) -> Any:
    return call.keep(await call.send())


def _inputs(call: ClientCall[Any]) -> dict[str, Any]:
    return call.inputs


setattr(_send, INPUTS, _inputs)
setattr(_send_async, INPUTS, _inputs)
_signature, _signature_async = Signature(_send), Signature(_send_async)
call_as_step: Callable[[ClientCall[Any]], Any] = wrap(_send, _signature, _begin)
call_as_step_async: Callable[[ClientCall[Any]], Any] = wrap(_send_async, _signature_async, _begin)
stream_as_step: Callable[[ClientCall[Any]], Any] = wrap(_send, _signature, _begin, stream=True)
stream_as_step_async: Callable[[ClientCall[Any]], Any] = wrap(_send_async, _signature_async, _begin, stream=True)


def is_recording() -> bool:
    return current_position.get() is not None


def errors_of(base: type[BaseException]) -> tuple[type[BaseException], ...]:
    """A library's errors: those that a replay raises as themselves."""
    return base, *(error for sub in base.__subclasses__() for error in errors_of(sub))

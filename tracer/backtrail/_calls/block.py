"""Being current: from its entering to its leaving, an activity is where the program is.

    enter → **position and span are current** → user's code → exit

The same for runs, agents and steps, and for `with`, `async with` and `await` on those that were
started by hand.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import Span, set_span_in_context

from backtrail._boundary import never_raise
from backtrail._interceptors.interception import Interception, ending, ending_if_stopped, finished, of_block
from backtrail._runs.scope import Position, current_position

if TYPE_CHECKING:
    from backtrail._interceptors.interceptors import Interceptor
    from backtrail._spans.span import RecordedSpan

_entering = never_raise("entering a block")
_leaving = never_raise("leaving a block")


Within = tuple[Position | None, Context]


class Block:
    """Something that can be entered and left."""

    __slots__ = ("_interception", "_opened", "_token")

    span: RecordedSpan | None
    interceptors: tuple[Interceptor, ...]

    def __init__(self) -> None:
        self._opened: Token[Position | None] | None = None
        self._token: Any = None

    @abstractmethod
    def enter(self) -> None:
        """Start, and become current."""

    @abstractmethod
    def leave_block(self) -> None:
        """The block ended."""

    @abstractmethod
    def leave_failed(self, error: BaseException) -> None:
        """The block raised."""

    @property
    def given_result(self) -> Any:
        """What the user gave as the result, if anything."""
        return None

    @property
    def is_current(self) -> bool:
        return self._opened is not None

    def become_current(self, position: Position | None, span: Span, within: Context | None = None) -> None:
        self._opened = current_position.set(position)
        self._token = otel_context.attach(set_span_in_context(span, within))

    def exit(self) -> None:
        """Make current again what was before; a block left in another task has nothing to give back."""
        opened, self._opened = self._opened, None
        if opened is not None:
            try:
                current_position.reset(opened)
            except ValueError:
                return
            otel_context.detach(self._token)

    def pause(self) -> Within:
        """Make current again what was before, for a while; keep what the body left current."""
        within = current_position.get(), otel_context.get_current()
        self.exit()
        return within

    def come_back(self, within: Within) -> None:
        """Go on where `pause` stopped, in whichever task or thread."""
        position, context = within
        self._opened = current_position.set(position)
        self._token = otel_context.attach(context)

    def __enter__(self) -> Self:
        self._interception = self._begin(waits=False)
        if self._interception is not None:
            with ending_if_stopped(self._close):
                finished(self._interception.before())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with ending(self._close, error):
            if self._interception is not None:
                finished(self._interception.after(self.given_result, error))

    async def __aenter__(self) -> Self:
        self._interception = self._begin(waits=True)
        if self._interception is not None:
            with ending_if_stopped(self._close):
                await self._interception.before()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ending(self._close, error):
            if self._interception is not None:
                await self._interception.after(self.given_result, error)

    def _begin(self, *, waits: bool) -> Interception | None:
        with _entering:
            self.enter()
        return of_block(self, None, waits=waits)

    def _close(self, error: BaseException | None) -> None:
        with _leaving:
            if error is None:
                self.leave_block()
            else:
                self.leave_failed(error)

    def __await__(self) -> Generator[Any, None, Self]:
        return self
        yield

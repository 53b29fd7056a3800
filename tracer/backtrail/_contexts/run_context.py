"""RunContext: the data a user passes along a run, and the run seen from inside it.

    main(…, context=AppContext(…)) → **RunContext** → every agent and step of the run

The object is the user's: subclasses are dataclasses, frozen or not, and we never write to them. What
is current lives in a context variable; the methods here find it there.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from backtrail._payloads.recorded_errors import as_error
from backtrail._processes import tasks
from backtrail._processes.tasks import Branch
from backtrail._runs.scope import Position, current_position
from backtrail._state.checkpoint import Checkpoint, checkpoint, checkpoint_sync
from backtrail._state.deltas import delete_state, get_state, set_state
from backtrail._state.state import RUN_SCOPE

from .context_text import Restored, from_text, to_text
from .fields import (
    Offered,
    dataclass_to_type_checkers,
    fill,
    give_fields,
    offer_fields,
    offered_fields,
    put_field,
    read_field,
)

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from backtrail._runs.lineage import Lineage
    from backtrail._runs.run import RunInfo
    from backtrail.client import Client

    from .agent_context import AgentContext
    from .done import Done
    from .totals import Totals

T = TypeVar("T")

_NO_RUN = "no run is active here; call this inside a function decorated with @backtrail.run"


class NoActiveRun(RuntimeError, AttributeError):
    """An attribute of the run, asked for outside of one. `hasattr` and all that look an object over see it missing."""


class _FromRun(Generic[T]):
    """An attribute read from the current run. A user's field of the same name wins over it."""

    def __init__(self, read: Callable[[Position], T]) -> None:
        self._read = read

    def __get__(self, instance: object, owner: type) -> T:
        if instance is None:
            # `dataclass` would take anything else for the default of a field of this name.
            raise AttributeError
        if current_position.get() is None:
            raise NoActiveRun(_NO_RUN)
        return self._read(active_position())


def active_position() -> Position:
    position = current_position.get()
    if position is None:
        raise RuntimeError(_NO_RUN)
    return position


def _client(position: Position) -> Client:
    from .current import get_current_client

    return position.runtime.client or get_current_client()


@dataclass_to_type_checkers(kw_only=True)
class RunContext:
    """What a run carries along: the original query, free metadata, and the fields of your subclass.

    @dataclass
    class AppContext(RunContext):
        user_id: str

    await main("Where is my order?", context=AppContext(user_id="123"))
    """

    if TYPE_CHECKING:
        query: str = dataclasses.field(default="", repr=False)
        metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    else:

        def __init__(self, *nameless: Any, **given: Any) -> None:
            fill(self, nameless, given)

    _offers: ClassVar[dict[str, Offered]] = {
        "query": Offered(str, "", repr=False),
        "metadata": Offered(dict, default_factory=dict),
    }

    def __init_subclass__(cls, *, offers_fields: bool = False, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        offer_fields(cls) if offers_fields else give_fields(cls)

    client = _FromRun(_client)
    run: ClassVar[_FromRun[RunInfo]] = _FromRun(lambda position: position.runtime.info)
    is_replaying = _FromRun(lambda position: position.runtime.is_replaying)
    in_cached_prefix = _FromRun(lambda position: position.runtime.in_cached_prefix(position))
    agents: ClassVar[_FromRun[list[AgentContext]]] = _FromRun(lambda position: list(position.runtime.agents))
    agent: ClassVar[_FromRun[AgentContext]] = _FromRun(
        lambda position: position.agent or position.runtime.default_agent()
    )
    totals: ClassVar[_FromRun[Totals]] = _FromRun(lambda position: position.runtime.totals)

    def get(self, key: str, default: Any = None) -> Any:
        """A value of `metadata`."""
        return self.metadata.get(key, default)

    def with_metadata(self, **values: Any) -> Self:
        """A copy of this context with more metadata."""
        return replaced(self, metadata={**self.metadata, **values})

    def set_state(self, key: str, value: Any) -> None:
        """Keep a value in the run's state: part of every later checkpoint, back again in a replay."""
        position = active_position()
        set_state(position.runtime, RUN_SCOPE, key, value, position)

    def get_state(self, key: str, default: Any = None) -> Any:
        """A copy of a value of the run's state."""
        return get_state(active_position().runtime, RUN_SCOPE, key, default)

    def delete_state(self, key: str) -> None:
        """Take a key out of the run's state."""
        position = active_position()
        delete_state(position.runtime, RUN_SCOPE, key, position)

    async def checkpoint(self, name: str = "", extra: dict[str, Any] | None = None) -> Checkpoint:
        """Keep the whole state as it is now. When this returns, the server has it."""
        return await checkpoint(active_position(), name, extra)

    def checkpoint_sync(self, name: str = "", extra: dict[str, Any] | None = None) -> Checkpoint:
        """The same for code without an event loop."""
        return checkpoint_sync(active_position(), name, extra)

    async def restore_from_checkpoint(self, checkpoint_id: str) -> None:
        """Set the state back to a checkpoint, of this run or of another whose finished steps then answer here.

        CheckpointError if it cannot be loaded, ReplayError if its values cannot be read.
        """
        from backtrail._state.checkpoint_restore import restore_from_checkpoint

        await restore_from_checkpoint(active_position(), checkpoint_id)

    def restore_from_checkpoint_sync(self, checkpoint_id: str) -> None:
        """The same for code without an event loop."""
        from backtrail._state.checkpoint_restore import restore_from_checkpoint_sync

        restore_from_checkpoint_sync(active_position(), checkpoint_id)

    def start_agent(
        self, name: str, agent_config_id: str | None = None, metadata: dict[str, Any] | None = None
    ) -> AgentContext:
        """Start an agent by hand; `async with` or `with` makes it current. May be awaited."""
        position = active_position()
        return position.runtime.start_agent(position, name, agent_config_id, metadata)

    def complete(self, result: Any = None) -> Done:
        """End the run's agents and mark the run completed with this result. May be awaited."""
        return active_position().runtime.complete(result)

    def fail(self, error: BaseException | str) -> Done:
        """End the run's agents and mark the run failed. May be awaited."""
        return active_position().runtime.fail(as_error(error))

    def branch(self, key: str) -> Branch:
        """Name what follows in this block, so that steps in it are told apart from those of other branches."""
        return Branch(active_position(), key)

    def run_in_thread(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> Awaitable[T]:
        """`asyncio.to_thread`, with the run carried into the thread."""
        return tasks.run_in_thread(active_position(), function, *args, **kwargs)

    def submit(self, executor: Executor, function: Callable[..., T], *args: Any, **kwargs: Any) -> Future[T]:
        """`executor.submit`, with all context variables carried into the thread, and not only the run."""
        return tasks.submit(active_position(), executor, function, *args, **kwargs)

    def carried(self, function: Callable[..., T]) -> Callable[..., T]:
        """The function for a thread made by hand, with the run it is to be part of.

        threading.Thread(target=ctx.carried(watch), args=(order,)).start()
        """
        from backtrail._processes.carried import carried

        return carried(active_position(), function)

    def now(self) -> datetime:
        """The time, the same again in a replay."""
        from backtrail._runs.effects import now_utc

        return now_utc()

    def uuid(self) -> UUID:
        """A random UUID, the same again in a replay."""
        from backtrail._runs.effects import random_uuid

        return random_uuid()

    def random(self) -> float:
        """A random number from 0 to 1, the same again in a replay."""
        from backtrail._runs.effects import random_number

        return random_number()

    def to_json(self) -> str:
        """This context with the run's state and conversation, as text: also after the run, to go on elsewhere.

        Services are left out by name; `from_json` takes them again.
        """
        return to_text(self)

    @classmethod
    def from_json(cls, text: str | bytes, /, *types: type, **services: Any) -> Restored[Self]:
        """What `to_json` wrote, to be handed to a run as `context=`.

        restored = AppContext.from_json(text, db=db)
        await main("And my invoice?", context=restored)

        `types` are classes of values in the state. Raises a ContextError that says what is wrong with the text.
        """
        return from_text(cls, text, types, services)

    def _standing_at(self, lineage: Lineage) -> Self:
        """This context as an agent of that lineage gets it; the classes of `contexts` know a task and a depth."""
        return self

    def __repr__(self) -> str:
        shown = [name for name, offer in offered_fields(type(self)).items() if offer.repr]
        return f"{type(self).__name__}({', '.join(f'{name}={read_field(self, name)!r}' for name in shown)})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(vars(self) == vars(other))

    __hash__ = object.__hash__


C = TypeVar("C", bound=RunContext)


def replaced(context: C, **fields: Any) -> C:
    """A copy with other fields. Unlike `dataclasses.replace`, no `__init__` of the user's runs again."""
    twin = copy.copy(context)
    for name, value in fields.items():
        put_field(twin, name, value)
    return twin

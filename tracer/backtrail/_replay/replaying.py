"""Client.replay: fetch the record, call the user's function as it was called, hand back what came of it.

Client → (HTTP) bundle → **replaying** → the user's @run function → ReplayResult
"""

import asyncio
import inspect
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from backtrail._calls.modules import qualname_of
from backtrail._contexts.call_context import HandedOver, context_of
from backtrail._payloads.codec import type_name
from backtrail._payloads.redacted_inputs import check_inputs, check_rules
from backtrail._spans.recorder import current_recorder
from backtrail.errors import ReplayError

from .bundle import Bundle, RunRecord, join_pages, parse_page, read_bundle
from .decision import ReplayOptions
from .divergence import Divergence, ReplayReport
from .replay import MODES, Replay
from .replayed_run import ReplayStart, starting
from .restoring import restore_arguments, restore_context

T = TypeVar("T")

SETTLE_SECONDS = 3.0  # from the end of a run in this process until the server answers with all of it
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult(Generic[T]):
    """What a replay came to. `report` names every difference from the record."""

    value: T
    run_id: str
    hits: int
    live: int
    divergences: list[Divergence]
    report: ReplayReport


@dataclass(frozen=True, slots=True)
class _Prepared:
    replay: Replay
    call: Callable[[], Any]
    is_async: bool


class Replaying(ABC):
    """The part of the client that replays."""

    def __init__(self) -> None:
        self.types: dict[str, type] = {}

    @abstractmethod
    def request(self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: Any = None) -> bytes:
        """The body of a successful answer."""

    def register_type(self, cls: type) -> type:
        """Allow values of this class to come back from a recording where no annotation names it."""
        self.types[type_name(cls)] = cls
        return cls

    def get_replay_bundle(self, run_id: str, mode: str = "resume", at: str | None = None) -> Bundle:
        """Everything a replay of this run needs; `save_bundle` keeps it for a replay without a server."""
        _check_mode(mode)
        pages = [self._bundle_page(run_id, mode, at, None)]
        while (cursor := pages[-1].page.next) is not None:
            pages.append(self._bundle_page(run_id, mode, at, cursor))
        return join_pages(pages)

    async def replay(
        self,
        run_id: str | None = None,
        fn: Callable[..., Any] | None = None,
        *,
        bundle: Bundle | str | Path | None = None,
        mode: str = "resume",
        at: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        context: HandedOver = None,
        context_overrides: Collection[str] = (),
        code_change: Literal["warn", "rerun", "raise"] = "warn",
        on_input_change: Literal["live", "reuse", "raise"] = "live",
        on_undecodable: Literal["raise", "live"] = "raise",
        allow_unsafe: bool | Collection[str] = False,
        force: bool = False,
    ) -> ReplayResult[Any]:
        """Run `fn` again as the recorded run called it; finished steps answer from the record.

            result = await backtrail.Client().replay(run_id, handle)

        The step that ended the run runs live, as does everything after it. If it fails again, its error is
        raised here. `context` supplies the services no recording holds; its data comes from the record.
        `inputs` gives those of the run's own arguments again that were redacted when it was recorded.
        """
        options = ReplayOptions(
            code_change=code_change,
            on_input_change=on_input_change,
            on_undecodable=on_undecodable,
            allow_unsafe=allow_unsafe,
        )
        prepare = partial(
            self._prepare, run_id, fn, bundle, mode, at, inputs or {}, context, context_overrides, options, force
        )
        prepared = await asyncio.to_thread(prepare)
        with _running(prepared.replay) as start:
            outcome = _awaited(prepared.call) if prepared.is_async else asyncio.to_thread(_called, prepared.call)
            value = await outcome
        return _result(value, start)

    def replay_sync(
        self,
        run_id: str | None = None,
        fn: Callable[..., Any] | None = None,
        *,
        bundle: Bundle | str | Path | None = None,
        mode: str = "resume",
        at: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        context: HandedOver = None,
        context_overrides: Collection[str] = (),
        code_change: Literal["warn", "rerun", "raise"] = "warn",
        on_input_change: Literal["live", "reuse", "raise"] = "live",
        on_undecodable: Literal["raise", "live"] = "raise",
        allow_unsafe: bool | Collection[str] = False,
        force: bool = False,
    ) -> ReplayResult[Any]:
        """The same for code without an event loop; `fn` may be either kind of function."""
        options = ReplayOptions(
            code_change=code_change,
            on_input_change=on_input_change,
            on_undecodable=on_undecodable,
            allow_unsafe=allow_unsafe,
        )
        prepared = self._prepare(run_id, fn, bundle, mode, at, inputs or {}, context, context_overrides, options, force)
        if prepared.is_async and _has_loop():
            raise ReplayError("an event loop is running here, as in a notebook: await client.replay(…) instead")
        with _running(prepared.replay) as start:
            value = asyncio.run(_awaited(prepared.call)) if prepared.is_async else _called(prepared.call)
        return _result(value, start)

    def _prepare(
        self,
        run_id: str | None,
        fn: Callable[..., Any] | None,
        bundle: Bundle | str | Path | None,
        mode: str,
        at: str | None,
        inputs: Mapping[str, Any],
        context: HandedOver,
        context_overrides: Collection[str],
        options: ReplayOptions,
        force: bool,
    ) -> _Prepared:
        _check_mode(mode)
        function = _function(fn)
        record = self._find_bundle(run_id, bundle, mode, at, force)
        replay = Replay(record, options, self.types)
        recorder = current_recorder()
        replay.report.divergences.extend((*_check_name(record.run, function), *check_rules(record.run, recorder)))
        recorded = check_inputs(record.run, inputs, recorder)
        args, kwargs = restore_arguments(function, recorded, self.types, inputs)
        restored, differences = restore_context(
            function, record.run.context, context_of(context), registry=self.types, overrides=context_overrides
        )
        replay.report.divergences.extend(differences)
        configured = function.with_options(context=restored, conversation_id=record.run.conversation_id)
        receiver = (function.__self__,) if inspect.ismethod(function) else ()
        own = inspect.unwrap(function)
        is_async = inspect.iscoroutinefunction(own) or inspect.isasyncgenfunction(own)
        return _Prepared(replay, partial(configured, *receiver, *args, **kwargs), is_async)

    def _find_bundle(
        self, run_id: str | None, bundle: Bundle | str | Path | None, mode: str, at: str | None, force: bool
    ) -> Bundle:
        if (run_id is None) == (bundle is None):
            raise ReplayError("say what to replay: either a run_id or bundle=")
        if isinstance(bundle, Bundle):
            return bundle
        if bundle is not None:
            return read_bundle(bundle)
        assert run_id is not None
        found = self._settled_bundle(run_id, mode, at, wants_end=not force)
        if found.run.status == "running" and not force:
            raise ReplayError(
                f"run {run_id} is still running: its newest record is less than a minute old. "
                "Wait, or replay it all the same with force=True (--force)."
            )
        return found

    def _settled_bundle(self, run_id: str, mode: str, at: str | None, *, wants_end: bool) -> Bundle:
        """What was sent a moment ago may not be readable yet: for that long, an open end is waited out."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            found = self.get_replay_bundle(run_id, mode, at)
            is_open = wants_end and found.run.status == "running"
            if time.monotonic() > deadline or not (is_open or found.completeness.get("missing_numbers")):
                return found
            time.sleep(POLL_SECONDS)

    def _bundle_page(self, run_id: str, mode: str, at: str | None, cursor: str | None) -> Bundle:
        wish = {"mode": mode, "at": at, "cursor": cursor}
        return parse_page(self.request("POST", f"/api/v1/runs/{run_id}/replay-bundle", json=wish))


@contextmanager
def _running(replay: Replay) -> Iterator[ReplayStart]:
    """The replayed run runs in the block. A refusal of the replay comes out of it whatever the program caught."""
    with starting(replay) as start:
        try:
            yield start
        except Exception as error:
            if start.run_id is not None:
                error.add_note(f"raised in run {start.run_id}, a replay of run {replay.bundle.run.run_id}")
            if replay.failure is not None and error is not replay.failure:
                raise replay.failure from error
            raise
    if replay.failure is not None:
        raise replay.failure


def _result(value: Any, start: ReplayStart) -> ReplayResult[Any]:
    if start.run_id is None:
        raise ReplayError("no run was started: fn has to be a function decorated with @backtrail.run")
    report = start.replay.report
    return ReplayResult(
        value=value,
        run_id=start.run_id,
        hits=report.hits,
        live=report.live,
        divergences=report.divergences,
        report=report,
    )


def _function(fn: Callable[..., Any] | None) -> Any:
    if not getattr(fn, "starts_runs", False):  # a step called by itself would just run
        raise ReplayError(f"fn has to be the function decorated with @backtrail.run that was recorded, not {fn!r}")
    return fn


def _check_name(run: RunRecord, function: Any) -> Iterator[Divergence]:
    """A function may have got another name since; or it is the wrong one."""
    recorded, called = (run.entrypoint or "").rpartition(":")[2], qualname_of(function)
    if recorded and recorded.rpartition(".")[2] != called.rpartition(".")[2]:
        detail = f"{recorded} was recorded, and {called} is called"
        yield Divergence(kind="code_changed", name=run.name, step_key=None, detail=detail)


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _check_mode(mode: str) -> None:
    if mode not in MODES:
        raise ReplayError(f"replay mode {mode!r} is not available; there is {', '.join(map(repr, MODES))}")


async def _awaited(call: Callable[[], Any]) -> Any:
    """What the run comes to: its result, or all items of one that is a stream."""
    outcome = call()
    return [item async for item in outcome] if inspect.isasyncgen(outcome) else await outcome


def _called(call: Callable[[], Any]) -> Any:
    outcome = call()
    return list(outcome) if inspect.isgenerator(outcome) else outcome

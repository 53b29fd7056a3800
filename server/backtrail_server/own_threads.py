"""A pool whose threads work on while the interpreter ends.

    local → **own_threads** → asyncio.to_thread

When the main thread has ended, Python first closes every stock pool, then no new thread can be started, and only then
come the exit handlers, in which the SDK sends its last spans to the server in this very process.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class OwnThreads(ThreadPoolExecutor):
    """A ThreadPoolExecutor in name, because event loops take nothing else."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._workers = [Thread(target=self._work, name="backtrail-server-pool", daemon=True) for _ in range(count)]
        for worker in self._workers:
            worker.start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        self._calls.put((future, partial(fn, *args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        for _ in self._workers:
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            future, do = call
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(do())
                except BaseException as error:
                    future.set_exception(error)

"""The server inside somebody else's program: a thread, a free port of the loopback, a folder.

    backtrail.init_local → (entry point) → **local** → app

The program stays as it is: no signal is caught, no logger set up, no variable or working directory changed. A child
that the program forks is a client like any other: it leaves the engine alone and speaks HTTP to its parent.
"""

import logging
import os
import signal
import socket
import threading
from concurrent.futures import Future
from pathlib import Path
from weakref import WeakSet

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, set_value
from pydantic import ValidationError

from backtrail_server.app import create_guest_app
from backtrail_server.errors import CannotStart
from backtrail_server.folder import make_folder
from backtrail_server.own_threads import OwnThreads
from backtrail_server.process import Server, new_loop, web_config
from backtrail_server.settings import Settings, describe
from backtrail_store import abandon_engine

HOST = "127.0.0.1"
THREAD = "backtrail-server"
GRACE_SECONDS = 1
MAX_CONNECTIONS = 256  # the program's files are its own
POOL_THREADS = 2


def serve_in_thread(folder: Path) -> "LocalServer":
    """Returns when it serves. Raises what `backtrail-server serve` would say: CannotStart, StoreError, …"""
    try:
        settings = Settings(host=HOST, port=0, data=folder, store="")
    except ValidationError as error:
        raise CannotStart(describe(error)) from error
    make_folder(settings.data)
    keep_out_of_git(settings.data)
    server = LocalServer(settings)
    let_ctrl_z_stop()
    return server


class LocalServer:
    """Serves from its own thread until it is told to stop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._socket = socket.create_server((HOST, 0))
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}"
        self._ready: Future[Server] = Future()
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
        self._thread.start()
        try:
            self._server = self._ready.result()
        except Exception:
            self._socket.close()
            raise
        _servers.add(self)

    def stop(self, timeout: float) -> None:
        """What was acknowledged is on disk, whether or not the store has it in this time."""
        _servers.discard(self)
        self._server.should_exit = True
        self._thread.join(timeout)

    def stop_at_exit(self, timeout: float) -> None:
        """As `stop`; an engine that is still at work then does not keep the process."""
        self.stop(timeout)
        if self._thread.is_alive():
            abandon_engine()

    def leave(self) -> None:
        """In a forked child: without this, its parent's port would stay open as long as the child lives."""
        os.close(self._socket.detach())

    def _run(self) -> None:
        # What instrumentation the program has for web servers and databases is meant for its own.
        attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        loop = new_loop()
        loop.set_default_executor(OwnThreads(POOL_THREADS))
        try:
            loop.run_until_complete(self._serve())
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
            else:
                logging.getLogger(__name__).exception("the local server ended")
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    async def _serve(self) -> None:
        app = create_guest_app(self._settings)
        async with app.router.lifespan_context(app):
            config = web_config(app, grace=GRACE_SECONDS, max_connections=MAX_CONNECTIONS, log_config=None)
            server = Server(config, lambda: self._ready.set_result(server))
            await server.serve(sockets=[self._socket])


def keep_out_of_git(folder: Path) -> None:
    """A recording does not belong into the program's repository."""
    ignore = folder / ".gitignore"
    if not any(folder.iterdir()):
        ignore.write_text("*\n")


def let_ctrl_z_stop() -> None:
    """The embedded engine catches SIGTSTP, besides the signals of crashes, and goes on: Python's word counts again."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTSTP, signal.getsignal(signal.SIGTSTP))


def _is_not_ours(record: logging.LogRecord) -> bool:
    return record.threadName != THREAD or record.levelno >= logging.WARNING


# The program may log at INFO, and may well have a uvicorn of its own; that ours serves is no news in there.
for _name in ("uvicorn.access", "uvicorn.error"):
    logging.getLogger(_name).addFilter(_is_not_ours)

_servers: "WeakSet[LocalServer]" = WeakSet()


def _after_fork() -> None:
    for server in list(_servers):
        server.leave()


os.register_at_fork(after_in_child=_after_fork)

"""The server in this process, and the client that stops it.

    init_local → **_local_client** → server in a thread, configure(its address) → LocalClient

The SDK knows nothing of the server: the `backtrail-server` distribution says by an entry point how it is started, and
the two speak HTTP as ever. When the process ends, the SDK delivers first and the server stops after that.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from threading import RLock
from typing import Any, Protocol

from ._configure import configure, shutdown
from ._contexts.current import get_current_client, has_active_client, set_current_client
from ._delivery.lifetime import at_exit, not_at_exit
from .client import Client
from .errors import LocalServerError, ServerNotInstalledError

ENTRY_POINT_GROUP = "backtrail.local"
STOP_SECONDS = 4.0
EXIT_SECONDS = 1.0  # of the five that an exit may take, the SDK may have used four; what is in the inbox stays there


class Server(Protocol):
    """What the entry point gives back when it is called with a folder."""

    url: str

    def stop(self, timeout: float) -> None: ...
    def stop_at_exit(self, timeout: float) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class _Serving:
    folder: Path
    server: Server
    pid: int = field(default_factory=os.getpid)

    @property
    def is_ours(self) -> bool:
        """Not in a forked child."""
        return self.pid == os.getpid()

    def stop_at_exit(self) -> None:
        if self.is_ours:
            self.server.stop_at_exit(EXIT_SECONDS)


_serving: _Serving | None = None
_changing = RLock()


class LocalClient(Client):
    """A client of the server in this process; closing it delivers what was recorded and stops that server."""

    def __init__(self, serving: _Serving) -> None:
        super().__init__(serving.server.url)
        self._serving = serving

    def close(self) -> None:
        if self._serving.is_ours:
            with _changing:
                if _serving is self._serving:
                    _stop()
        super().close()


def serve_and_configure(path: str | os.PathLike[str], settings: dict[str, Any]) -> Client:
    folder = Path(path).expanduser().resolve()
    with _changing:
        serving = _serving_from(folder)
        client = configure(serving.server.url, **settings)
        if not isinstance(client, LocalClient):
            client = LocalClient(serving)
            set_current_client(client)
        return client


def _serving_from(folder: Path) -> _Serving:
    global _serving
    if _serving is not None:
        if _serving.folder == folder:  # in a forked child too: it speaks HTTP to its parent
            return _serving
        if not _serving.is_ours:
            raise LocalServerError(f"a forked child cannot serve; its parent serves {_serving.folder}")
    start = _find_server()
    _stop()
    try:
        server: Server = start(folder)
    except Exception as error:
        raise LocalServerError(str(error) or type(error).__name__) from error
    _serving = _Serving(folder, server)
    at_exit(_serving.stop_at_exit)  # before configure() does, because the last that was said is the first that is done
    return _serving


def _find_server() -> Any:
    found = list(entry_points(group=ENTRY_POINT_GROUP))
    if not found:
        raise ServerNotInstalledError("init_local() runs the server in this process: pip install backtrail-server")
    return found[0].load()


def _stop() -> None:
    global _serving
    if _serving is None:
        return
    serving, _serving = _serving, None
    if has_active_client() and isinstance(client := get_current_client(), LocalClient) and client._serving is serving:
        shutdown()
    serving.server.stop(STOP_SECONDS)
    not_at_exit(serving.stop_at_exit)

"""The embedded engine and `os.fork`: a child inherits its memory without its threads, and must not touch it again.

    client → **forked** → os.fork

Closing a connection, or just ending the process, would wait for those threads for ever.
"""

import ctypes
import os
from weakref import WeakSet

from clickhouse_connect.driver.client import Client

_clients: "WeakSet[Client]" = WeakSet()
_is_engine_loaded = False  # and stays so: closing the last connection ends none of its threads


def keep_from_children(client: Client) -> None:
    """For a client of the embedded engine."""
    global _is_engine_loaded
    _is_engine_loaded = True
    _clients.add(client)


def _let_go() -> None:
    for client in list(_clients):
        _forget_connection(client)
    if _is_engine_loaded:
        _end_without_destructors()


def _forget_connection(client: Client) -> None:
    """Never closed, never deallocated."""
    handle = client._backend._handle  # type: ignore[attr-defined]
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(handle.conn))
    handle.conn = None


def _end_without_destructors() -> None:
    """Python ends as usual; what the engine has left to do at the end of the process is skipped, its status kept.

    The last that is registered is the first that runs. musl has no `on_exit`, and there is no engine for it either.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):
        libc.on_exit(libc._exit, None)
        libc.__cxa_atexit(libc.fflush, None, None)


os.register_at_fork(after_in_child=_let_go)

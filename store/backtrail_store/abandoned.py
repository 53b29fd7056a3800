"""The embedded engine, left alone: in a forked child, and at the end of a process that cannot wait for it.

    client → **abandoned** → os.fork, the end of the process

A child inherits the engine's memory without its threads: closing a connection, or just ending, would wait for them for
ever. A process that ends while the engine is at work would crash in the engine's destructors.
"""

import ctypes
import os
from weakref import WeakSet

from clickhouse_connect.driver.client import Client

_clients: "WeakSet[Client]" = WeakSet()
_is_engine_loaded = False  # and stays so: closing the last connection ends none of its threads


def may_be_abandoned(client: Client) -> None:
    """For each client of the embedded engine."""
    global _is_engine_loaded
    _is_engine_loaded = True
    _clients.add(client)


def abandon_engine() -> None:
    """From here on nothing is asked of it or waited for; this process has to end without it."""
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


os.register_at_fork(after_in_child=abandon_engine)

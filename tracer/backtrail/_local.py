"""init_local(): the whole backend inside this process, for notebooks, tests and CI.

    backtrail.**init_local(path)** → _local_client → (entry point) → the server, in a thread

What it takes is imported when it is called, as with `configure()`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    from .client import Client


def init_local(path: str | os.PathLike[str] = ".backtrail", **settings: Any) -> Client:
    """Record into a folder, with nothing to start: the backend runs in a thread of this process.

        client = backtrail.init_local("./trail", service_name="notebook")

    Needs `pip install backtrail-server`. The settings are those of `configure()`, but for the endpoint, which
    is the client's `.endpoint`. For notebooks, tests and CI; a folder belongs to one process at a time. With the same
    path again it is the same server; with another the first one stops, and what it recorded stays in its folder.
    It stops when the program ends, or with `client.close()` (or a `with` block around the client).
    """
    from ._local_client import serve_and_configure

    return serve_and_configure(path, settings)

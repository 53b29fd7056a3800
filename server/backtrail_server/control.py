"""The operator's door: a Unix socket in the data folder, and the client that knocks at it.

    commands → **control** → admin routes of the serving process, or of the same parts opened for the moment

Whoever may write the data folder may do everything with what is in it, so no key is asked for here. The system keeps
all others out: the socket has mode 0600.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from backtrail_server.errors import CannotStart, CommandFailed
from backtrail_server.folder import is_owned, keep_temporary_files_in, make_folder
from backtrail_server.settings import Settings

SOCKET = "control.sock"
OPERATOR = "is_operator"  # in the scope's state: the caller may do everything
CLOSING_SECONDS = 1
ANSWER_SECONDS = 600  # a backup takes its time


class OperatorApp:
    """The app as the operator meets it: each request says who is asking."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})[OPERATOR] = True
        await self._app(scope, receive, send)


class ControlServer(uvicorn.Server):
    """Leaves the signals to the server whose door this is."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving_control(app: FastAPI, folder: Path) -> AsyncIterator[None]:
    """The app behind the folder's socket, which is there when this is entered. The folder has to be ours."""
    with control_socket(folder) as listener:
        config = uvicorn.Config(
            OperatorApp(app),
            lifespan="off",
            ws="none",
            log_level="error",
            access_log=False,
            timeout_graceful_shutdown=CLOSING_SECONDS,
        )
        server = ControlServer(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield
        finally:
            server.should_exit = True
            await task


@contextmanager
def control_socket(folder: Path) -> Iterator[socket.socket]:
    """Closed to others before it listens; what a killed predecessor left is taken away."""
    path = folder / SOCKET
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        with short_name(path) as name:
            listener.bind(name)
            path.chmod(0o600)
        listener.listen()
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def short_name(path: Path) -> Iterator[str]:
    """A name that fits into the 100 bytes which a socket's address has, for a folder that may lie deep."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        by_descriptor = Path(f"/proc/self/fd/{folder}")
        yield str(by_descriptor / path.name if by_descriptor.exists() else path)
    finally:
        os.close(folder)


@asynccontextmanager
async def control_client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Speaks to the process that owns the data folder; if there is none, to the parts opened here for the moment.

    Raises CannotStart, saying what stands in the way.
    """
    make_folder(settings.data)
    if not is_owned(settings.data):
        async with opened_client(settings) as client:
            yield client
        return
    path = settings.data / SOCKET
    if not path.is_socket():
        raise CannotStart(f"the data folder {settings.data} is in use by a program that takes no commands")
    with short_name(path) as name:
        transport = httpx.AsyncHTTPTransport(uds=name)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", timeout=ANSWER_SECONDS
        ) as client:
            yield client


async def ask(client: httpx.AsyncClient, method: str, path: str, **request: Any) -> Any:
    """The answer's JSON, None if it has none. Raises CommandFailed with what the server says against it."""
    answer = await client.request(method, path, **request)
    if answer.is_error:
        raise CommandFailed(answer.json()["detail"])
    return answer.json() if answer.content else None


def path_of(*parts: str) -> str:
    """An address with names in it, whatever they consist of."""
    first, *names = parts
    return "/".join([first, *(quote(name, safe="") for name in names)])


@asynccontextmanager
async def opened_client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    from backtrail_server.app import create_guest_app

    keep_temporary_files_in(settings.data)
    app = create_guest_app(settings)
    async with app.router.lifespan_context(app), client_over(httpx.ASGITransport(OperatorApp(app))) as client:
        yield client


def client_over(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=ANSWER_SECONDS)

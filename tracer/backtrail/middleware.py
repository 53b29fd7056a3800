"""ASGI middleware: an agent behind HTTP joins the run of the agent that called it.

server → **RunMiddleware** → FastAPI, Starlette or any other ASGI application
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ._boundary import never_raise
from ._configure import flush
from ._processes.propagation import extract

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class RunMiddleware:
    """Requests and websockets whose headers name a run are part of that run, to the last byte of the answer.

        app.add_middleware(RunMiddleware, trust=comes_from_us)

    `trust` is asked with each connection's ASGI scope; those it does not answer with True are served outside of any
    run. Without it every caller is trusted to say which run it belongs to: only for services nobody else can reach.

    When the server shuts down, what was recorded is delivered.
    """

    def __init__(self, app: Application, *, trust: Callable[[Scope], bool] | None = None) -> None:
        self._app = app
        self._trust = trust

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, _delivering(send))
            return
        if scope["type"] not in ("http", "websocket") or not self._is_trusted(scope):
            await self._app(scope, receive, send)
            return
        async with extract(scope["headers"]):
            await self._app(scope, receive, send)

    def _is_trusted(self, scope: Scope) -> bool:
        with never_raise("asking whether a caller is trusted"):
            return self._trust is None or self._trust(scope) is True
        return False


def _delivering(send: Send) -> Send:
    """Ahead of the application's last word: a server that was told to end by a signal may end by it, without atexit."""

    async def deliver(message: MutableMapping[str, Any]) -> None:
        if message["type"].startswith("lifespan.shutdown"):
            with never_raise("delivering before a server ends"):
                flush()
        await send(message)

    return deliver

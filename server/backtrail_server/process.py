"""One process that serves until it is told to stop: sockets, event loop, signals, the line that says it is ready.

    cli → **process** → app

The ports are taken before anything is opened, so a second server finds out without touching the data.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from backtrail_ingest.receivers.ports import listening_socket
from backtrail_server.app import create_app
from backtrail_server.control import serving_control
from backtrail_server.deadline import Deadline
from backtrail_server.memory import collect_seldom, keep_freed_memory
from backtrail_server.open_files import allow_connections
from backtrail_server.patience import HEAD_SECONDS, PatientProtocol
from backtrail_server.settings import Settings
from backtrail_server.tls import Tls, tls_of
from backtrail_store import without_password

GRACE_SECONDS = 4  # for requests; the insert in flight gets five more seconds at most, and usually needs none
KEEP_ALIVE_SECONDS = 75  # longer than an exporter's pause, or every batch would meet a closing connection


class Server(uvicorn.Server):
    """Says when it is really serving, and takes a signal as a wish to end, not as a way to die."""

    def __init__(
        self, config: uvicorn.Config, on_ready: Callable[[], None], on_signal: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_signal = on_signal

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._on_signal()
        self.force_exit = self.should_exit
        self.should_exit = True


def serve(settings: Settings) -> None:
    """Returns after SIGTERM or SIGINT, with everything closed. The process then has to end soon, or is ended."""
    keep_freed_memory()
    os.umask(0o077)  # what the inbox and the engine write is for their owner alone, whoever made the folder
    tls = tls_of(settings)
    http_socket = listening_socket(settings.host, settings.port, setting="--port or BACKTRAIL_PORT")
    with http_socket, asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve_on(http_socket, settings, tls, Deadline()))


async def serve_on(http_socket: socket.socket, settings: Settings, tls: Tls | None, limit: Deadline) -> None:
    app = create_app(settings, tls)
    max_connections = allow_connections(settings.max_connections)
    options = tls.uvicorn_options if tls else {}
    config = web_config(
        app, grace=GRACE_SECONDS, max_connections=max_connections, log_level="error", access_log=False, **options
    )
    async with app.router.lifespan_context(app):
        collect_seldom()
        server = Server(config, lambda: announce(app, settings, http_socket.getsockname()[1]), limit.start)
        async with nullcontext() if settings.only == "query" else serving_control(app, settings.data):
            await server.serve(sockets=[http_socket])


def web_config(app: FastAPI, *, grace: int, max_connections: int, **options: Any) -> uvicorn.Config:
    """How a server of ours speaks HTTP, in a process of its own or in somebody else's."""
    return uvicorn.Config(
        app,
        http=partial(PatientProtocol, max_connections=max_connections),  # type: ignore[arg-type]  # it is only called
        ws="none",
        lifespan="off",  # entered by whoever serves, so that it is left whatever happens
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=grace,
        **options,
    )


def announce(app: FastAPI, settings: Settings, port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    # Elsewhere than on loopback a server without keys has not come this far.
    access = "without keys: open to every user of this computer" if app.state.keyring.is_empty else "with keys"
    secure = "s" if settings.tls_cert else ""
    api = f"http{secure}://{host}:{port}"
    otlp = f"grpc{secure}://{host}:{getattr(app.state, 'grpc_port', 0)} (OTLP)"
    offer = {
        "": f"{api} (OTLP/HTTP; API under /api/v1) and {otlp}",
        "ingest": f"{api} (OTLP/HTTP) and {otlp}",
        "query": f"{api} (API under /api/v1)",
    }[settings.only]
    place = f"reading {without_password(settings.store)}" if settings.only == "query" else f"data in {settings.data}"
    print(f"Backtrail serves {offer}, {access}; {place}", flush=True)


def new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    class Loop(uvloop.Loop):
        async def create_server(self, *args: Any, **options: Any) -> Any:
            if options.get("ssl"):  # uvicorn leaves it at a minute, and no deadline of ours runs before it is over
                options["ssl_handshake_timeout"] = HEAD_SECONDS
            return await super().create_server(*args, **options)

    return Loop()

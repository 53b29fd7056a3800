"""The gate, given whatever bytes: without a key nothing comes through but what is open to everybody."""

import asyncio
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from starlette.types import Message, Receive, Scope, Send

from backtrail_server import Settings, create_app
from backtrail_server.app import denials_in
from backtrail_server.auth.browsers import Names
from backtrail_server.auth.gate import Gate
from backtrail_server.auth.keyring import KeyRing
from backtrail_server.auth.routes import Routes
from backtrail_server.auth.secret import new_secret
from backtrail_store import Store
from tests.security.conftest import KeyedServer

SECRET = new_secret()
NAMES = (b"authorization", b"x-backtrail-key", b"x-clickhouse-key", b"host", b"origin", b"content-type", b"cookie")
KEYS = st.sampled_from(
    (b"Bearer ", b"Basic ", b"bt_", b"Bearer bt_" + b"0" * 64, SECRET[:-1].encode(), b"null", b"[::1")
)
VALUES = st.binary(max_size=40) | KEYS | st.builds(lambda one, other: one + other, KEYS, st.binary(max_size=20))
HEADERS = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=6)
OPEN = {"/", "/healthz", "/readyz", "/openapi.json", "/docs"}

APP = create_app(Settings(data=Path("nowhere")))
ROUTES = Routes(APP)
PATHS = [route.found.what.split(" ", 1)[1] for route in ROUTES.known]


async def answer(scope: Scope) -> tuple[int | None, Scope | None]:
    """The status, or the scope with which the request came through."""
    statuses: list[int] = []
    through: list[Scope] = []

    async def router(scope: Scope, receive: Receive, send: Send) -> None:
        through.append(scope)

    async def receive() -> Message:
        raise AssertionError("something of the body was read")

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await Gate(router, ROUTES, Names(is_loopback=True))(scope, receive, send)
    return (statuses or [None])[0], (through or [None])[0]  # type: ignore[list-item]


@pytest.fixture(scope="module", autouse=True)
def _with_a_key(migrated_store: Store) -> None:
    APP.state.keyring, APP.state.denials = KeyRing(migrated_store, SECRET), denials_in(CollectorRegistry())


@settings(max_examples=400, deadline=None)
@given(
    method=st.sampled_from(("GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "TRACE", "x")),
    path=st.sampled_from(PATHS) | st.text(max_size=30).map(lambda text: f"/{text}"),
    query=st.binary(max_size=30),
    headers=HEADERS,
)
def test_t29_nothing_comes_through_without_a_key(
    method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "query_string": query, "app": APP}

    status, through = asyncio.run(answer({**scope, "headers": headers}))

    if through is None:
        assert status in (400, 401, 403, 415)
    else:
        assert path in OPEN or path.startswith("/docs/")
        assert (through["state"]["project"], through["state"]["grant"].scopes) == ("", frozenset())


def test_a_stranger_cannot_fill_the_log(keyed: KeyedServer) -> None:
    """Nothing is written for what he may send as often as he likes."""
    before = keyed.server.logged()
    address = urlsplit(keyed.server.url)
    for sent in (
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"GET /nothing HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    ):
        with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
            connection.sendall(sent)
            assert connection.recv(4096).startswith(b"HTTP/1.1 4")

    assert keyed.server.logged() == before

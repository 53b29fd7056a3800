"""The one gate of everything HTTP: who asks, for what, and may they?

    request → **gate** (browsers, carriers, keyring, policy) → router → route

Nothing of a body is read before this is settled. A request that comes through runs under `request.state.grant`, and
`request.state.project` is all that a route may ask the store about.
"""

from urllib.parse import unquote

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backtrail_server.auth.answers import is_otlp, not_served, refused
from backtrail_server.auth.browsers import Names, check_content
from backtrail_server.auth.carriers import carried_key
from backtrail_server.auth.grant import OPERATOR, STRANGER, Grant
from backtrail_server.auth.keyring import KeyRing
from backtrail_server.auth.policy import Access, check
from backtrail_server.auth.refusals import AccessRefused, KeyInAddress, MissingKey, WrongKey
from backtrail_server.auth.routes import Found, Routes
from backtrail_server.auth.secret import holds_secret
from backtrail_server.control import OPERATOR as IS_OPERATOR


class Gate:
    """ASGI middleware. The app keeps its `KeyRing` in `app.state.keyring`, and counts in `app.state.denials`."""

    def __init__(self, app: ASGIApp, routes: Routes, names: Names) -> None:
        self._app = app
        self._routes = routes
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"{scope['type']} is not served")
        found = self._routes.find(scope["method"], scope["path"])
        try:
            grant = self._grant(scope, found)
        except AccessRefused as refusal:
            scope["app"].state.denials.labels(type(refusal).__name__).inc()
            await refused(scope, refusal)(scope, receive, send)
            return
        if not found.is_served:
            await not_served(scope, found)(scope, receive, send)
            return
        scope["state"]["grant"] = grant
        scope["state"]["project"] = grant.project
        await self._app(scope, receive, send if found.access == "open" else unshared(send))

    def _grant(self, scope: Scope, found: Found) -> Grant:
        """Raises AccessRefused."""
        if scope.setdefault("state", {}).get(IS_OPERATOR):
            return OPERATOR
        headers = Headers(scope=scope)
        self._names.check_place(headers)
        if holds_secret(scope["path"]) or holds_secret(unquote(scope["query_string"].decode("latin-1"))):
            raise KeyInAddress
        grant = who(scope["app"].state.keyring, headers, found.access)
        check(grant, found.access, found.what)
        if not is_otlp(scope["path"]):  # whose receiver says better what it takes
            check_content(scope["method"], headers)
        return grant


def unshared(send: Send) -> Send:
    """What one key was told, a cache on the way must not tell another: not all of them know our headers."""

    async def send_uncached(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).setdefault("cache-control", "no-store")
        await send(message)

    return send_uncached


def who(keyring: KeyRing, headers: Headers, access: Access) -> Grant:
    """Where everybody may ask, a bad key is as good as none. Raises MissingKey or WrongKey."""
    try:
        return keyring.grant(carried_key(headers.items()))
    except (MissingKey, WrongKey):
        if access == "open":
            return STRANGER
        raise

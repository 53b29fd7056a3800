"""Browser exporters: pages of origins that the operator named may send telemetry, and read the answers (CORS).

    request → **cors** → gate → receiver

Starlette's middleware does all of it; here it is kept to the receivers.
"""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from backtrail_server.auth.answers import is_otlp

MAX_AGE_SECONDS = 7200  # Chromium remembers no longer


class Cors:
    def __init__(self, app: ASGIApp, origins: frozenset[str]) -> None:
        self._app = app
        self._receivers = app
        if origins:
            self._receivers = CORSMiddleware(
                app,
                allow_origins=origins,
                allow_methods=["POST"],
                allow_headers=["*"],
                # navigator.sendBeacon() always asks for it. There are no cookies that could be sent along.
                allow_credentials="*" not in origins,
                allow_private_network=True,
                expose_headers=["Retry-After"],
                max_age=MAX_AGE_SECONDS,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_receiver = scope["type"] == "http" and is_otlp(scope["path"])
        await (self._receivers if is_receiver else self._app)(scope, receive, send)

"""What an administrator asks of a running server, a module each.

commands → control → **admin** → inbox, store
"""

from fastapi import APIRouter, FastAPI, Request, Response

from backtrail_ingest.errors import Overloaded
from backtrail_query.errors import RETRY_AFTER_SECONDS, problem
from backtrail_server.admin import backup, check, erasure, keys, prices, projects, quarantine, renormalisation


def create_router() -> APIRouter:
    """All administrative endpoints, which find the parts they need in the app's state."""
    router = APIRouter()
    for part in (check, projects, keys, prices, quarantine, backup, erasure, renormalisation):
        router.include_router(part.router)
    return router


def install(app: FastAPI) -> None:
    """A disk that fails while an administrator asks something of the inbox is a reason to ask again."""
    app.add_exception_handler(Overloaded, _inbox_unavailable)


def _inbox_unavailable(request: Request, error: Exception) -> Response:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return problem(503, "The inbox cannot do this now", f"{error}; try again in a moment", headers=headers)

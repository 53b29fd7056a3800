"""What an administrator asks of a running server, a module each.

commands → control → **admin** → inbox, store
"""

from fastapi import APIRouter

from backtrail_server.admin import backup, check, keys, projects, quarantine


def create_router() -> APIRouter:
    """All administrative endpoints; the app keeps `inbox`, `store`, `keyring` and `folder` in its state."""
    router = APIRouter()
    for part in (check, projects, keys, quarantine, backup):
        router.include_router(part.router)
    return router

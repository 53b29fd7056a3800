"""What an administrator asks of a running server, a module each.

commands → control → **admin** → inbox, store
"""

from fastapi import APIRouter

from backtrail_server.admin import backup, check, erasure, keys, projects, quarantine


def create_router() -> APIRouter:
    """All administrative endpoints, which find the parts they need in the app's state."""
    router = APIRouter()
    for part in (check, projects, keys, quarantine, backup, erasure):
        router.include_router(part.router)
    return router

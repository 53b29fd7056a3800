"""GET /api/v1/check: what is there, and whether it works.

commands.check → **check** → checkup
"""

from fastapi import APIRouter, Request

from backtrail_server.checkup import Checkup, look

router = APIRouter(prefix="/api/v1/check", tags=["administration"])


@router.get("")
async def check(request: Request) -> Checkup:
    """With every reason, as /readyz gives them."""
    state = request.app.state
    return await look(state.settings, state.readiness, store=state.store, inbox=state.inbox, keyring=state.keyring)

"""GET /api/v1/quarantine: the requests that the store will never take, and why.

commands.quarantine → **quarantine** → inbox
"""

from fastapi import APIRouter, Request
from pydantic import BaseModel

from backtrail_ingest import Inbox
from backtrail_ingest.inbox_file import InboxFile

router = APIRouter(prefix="/api/v1/quarantine", tags=["administration"])


class QuarantinedRequest(BaseModel):
    id: int
    project: str
    received_unix_nano: int
    quarantined_unix_nano: int
    signal: str
    item_count: int
    size: int
    reason: str


class Quarantine(BaseModel):
    requests: list[QuarantinedRequest]


@router.get("")
def list_quarantine(request: Request) -> Quarantine:
    """Oldest first."""
    inbox: Inbox = request.app.state.inbox
    rows = inbox.ask(InboxFile.quarantined)
    return Quarantine(requests=[QuarantinedRequest.model_validate(row, from_attributes=True) for row in rows])

"""/api/v1/quarantine: the requests that the store will never take: listed, shown, tried again, dropped.

commands.quarantine → **quarantine** → inbox
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from pydantic import AwareDatetime, BaseModel, Field

from backtrail_ingest import Inbox
from backtrail_ingest.inbox.inbox_file import InboxFile
from backtrail_ingest.inbox.inbox_rows import Entry, Quarantined
from backtrail_ingest.requests.first_names import first_names
from backtrail_query.errors import NotFound, QueryError
from backtrail_query.models import Problem
from backtrail_server.admin.audit import record

router = APIRouter(
    prefix="/api/v1/quarantine",
    tags=["administration"],
    responses={status: {"model": Problem} for status in (401, 403)},
)

Id = Annotated[int, Path(ge=1, lt=1 << 63)]
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": Problem}}


class NotInQuarantine(NotFound):
    def __init__(self, id_: int) -> None:
        super().__init__(f"there is no request {id_} in quarantine")


class RequestDamaged(QueryError):
    status = 409
    title = "The request is damaged"


class QuarantinedRequest(BaseModel):
    id: int
    project: str
    signal: Literal["traces", "logs"]
    item_count: int = Field(description="spans or log records")
    size: int = Field(description="bytes")
    received_time: AwareDatetime
    quarantined_time: AwareDatetime
    reason: str = Field(description="what the store said when it refused it")


class ShownRequest(QuarantinedRequest):
    names: list[str] = Field(description="the first spans by their names, or log records by their events or texts")
    is_damaged: bool = Field(description="its bytes are not those that came in: it can only be dropped")


class Quarantine(BaseModel):
    requests: list[QuarantinedRequest]


class Released(BaseModel):
    ids: list[int]


@router.get("")
def list_quarantine(request: Request) -> Quarantine:
    """Oldest first."""
    return Quarantine(requests=[QuarantinedRequest(**fields(row)) for row in rows(request)])


@router.get("/{id}", responses=NOT_FOUND)
def show_request(id: Id, request: Request) -> ShownRequest:
    row = find(request, id)
    content = inbox(request).ask(lambda file: file.read_quarantined(id))
    is_whole = isinstance(content, Entry)
    names = first_names(content.envelope.signal, content.envelope.request) if isinstance(content, Entry) else []
    return ShownRequest(**fields(row), names=names, is_damaged=not is_whole)


@router.post("/retry")
def retry_all(request: Request) -> Released:
    """All that are whole. What the store still refuses comes back under a new id."""
    retried = [row.id for row in rows(request) if inbox(request).retry(row.id)]
    record(request, f"{len(retried)} requests in quarantine given to the store again")
    return Released(ids=retried)


@router.post("/{id}/retry", responses={**NOT_FOUND, 409: {"model": Problem}})
def retry_request(id: Id, request: Request) -> Released:
    """If the store still refuses it, it comes back under a new id."""
    row = find(request, id)
    if not inbox(request).retry(id):
        raise RequestDamaged(f"request {id} is not what came in, so the store is not given it: drop it")
    record(request, f"request {id} of project {row.project} given to the store again")
    return Released(ids=[id])


@router.delete("")
def drop_all(request: Request) -> Released:
    dropped = [row.id for row in rows(request) if inbox(request).drop(row.id)]
    record(request, f"{len(dropped)} requests in quarantine dropped")
    return Released(ids=dropped)


@router.delete("/{id}", responses=NOT_FOUND)
def drop_request(id: Id, request: Request) -> Released:
    """For good: its spans count as rejected, with the reason `dropped`."""
    row = find(request, id)
    if not inbox(request).drop(id):
        raise NotInQuarantine(id)
    record(request, f"request {id} of project {row.project} ({row.item_count} {row.signal}) dropped")
    return Released(ids=[id])


def inbox(request: Request) -> Inbox:
    opened: Inbox = request.app.state.inbox
    return opened


def rows(request: Request) -> list[Quarantined]:
    return inbox(request).ask(InboxFile.quarantined)


def find(request: Request, id_: int) -> Quarantined:
    for row in rows(request):
        if row.id == id_:
            return row
    raise NotInQuarantine(id_)


def fields(row: Quarantined) -> dict[str, object]:
    return {
        "id": row.id,
        "project": row.project,
        "signal": row.signal,
        "item_count": row.item_count,
        "size": row.size,
        "received_time": moment(row.received_unix_nano),
        "quarantined_time": moment(row.quarantined_unix_nano),
        "reason": row.reason,
    }


def moment(unix_nano: int) -> datetime:
    return datetime.fromtimestamp(unix_nano / 1e9, UTC)

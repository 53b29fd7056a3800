"""DELETE /api/v1/runs/{run_id} and /api/v1/users/{user_id}: really gone when it is answered.

HTTP → **erasure** → erasing → inbox, store
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from backtrail_query.errors import QueryError, RunNotFound
from backtrail_query.models import Problem
from backtrail_query.params import Project, RunId
from backtrail_server.admin.audit import record
from backtrail_server.erasing import Eraser, Erasure
from backtrail_store import NoRoom, NotEmbedded

router = APIRouter(
    prefix="/api/v1",
    tags=["administration"],
    responses={status: {"model": Problem} for status in (401, 403, 409, 422, 501, 503, 507)},
)


class NoRoomToErase(QueryError):
    """Answer 507: the disk could not take it."""

    status = 507
    title = "Not enough room on the disk"


class NotAllRead(QueryError):
    """Answer 409: what can be read is erased, but there is more that nobody can look into."""

    status = 409
    title = "Erased from all that can be read"


class NotFromHere(QueryError):
    """Answer 501: somebody has to do it where the spans are."""

    status = 501
    title = "Not on this kind of store"


class ErasureView(BaseModel):
    run_ids: list[str] = Field(description="the runs that are gone")
    spans: int
    contents: int = Field(description="payload texts, each message of a chat history once")
    log_records: int
    quarantined: int = Field(description="spans and log records of requests that the store had refused")
    replays: list[str] = Field(
        description="runs that replayed one of these and hold what it recorded: they are runs of their own, and stay"
    )


@router.delete("/runs/{run_id}", responses={404: {"model": Problem}})
def erase_run(run_id: RunId, project: Project, request: Request) -> ErasureView:
    """A trace, with all its spans, texts and log records. What comes in of it later is not kept."""
    with answered():
        erasure = eraser(request, project).erase_run(run_id)
    if erasure is None:
        raise RunNotFound(run_id)
    return erased(request, erasure, f"run {run_id}")


@router.delete("/users/{user_id:path}")
def erase_user(
    user_id: Annotated[str, Path(min_length=1, description="the attribute user.id")], project: Project, request: Request
) -> ErasureView:
    """Every run of which any span or log record names this user."""
    with answered():
        erasure = eraser(request, project).erase_user(user_id)
    return erased(request, erasure, f"a user with {len(erasure.run_ids)} runs")


@contextmanager
def answered() -> Iterator[None]:
    try:
        yield
    except NoRoom as error:
        raise NoRoomToErase(str(error)) from error
    except NotEmbedded as error:
        raise NotFromHere(str(error)) from error


def eraser(request: Request, project: str) -> Eraser:
    state = request.app.state
    return Eraser(
        store=state.store, inbox=state.inbox, ledger=state.admission.ledger, folder=state.folder, project=project
    )


def erased(request: Request, erasure: Erasure, what: str) -> ErasureView:
    record(request, f"{what} erased")
    if erasure.unread:
        raise NotAllRead(
            f"{what} is erased, but nobody can say whether it is also in {'; '.join(erasure.unread)}: "
            "remove what you do not need of these to be sure"
        )
    return ErasureView(
        run_ids=list(erasure.run_ids),
        spans=erasure.erased.spans,
        contents=erasure.erased.contents,
        log_records=erasure.erased.log_records,
        quarantined=erasure.quarantined,
        replays=list(erasure.replays),
    )

"""GET and POST /api/v1/renormalisation: columns of stored spans made anew under the present rules, hour by hour.

commands.renormalise → control → **renormalisation** → store

Who asks says which hour is next and may stop at any moment: what is done is remembered in the store.
"""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel, Field

from backtrail_query.models import Problem
from backtrail_query.params import Start
from backtrail_server.admin.erasure import answered
from backtrail_server.backup.contents import LOCK_SECONDS, no_erasure
from backtrail_store import Store, StoreUnavailable

router = APIRouter(
    prefix="/api/v1/renormalisation",
    tags=["administration"],
    responses={status: {"model": Problem} for status in (401, 403, 422, 503, 507)},
)

EVER = datetime(1970, 1, 1, tzinfo=UTC)


class HourOfProject(BaseModel):
    project: str
    hour: Annotated[AwareDatetime, Field(description="when it begins")]


class HourView(HourOfProject):
    spans: int
    is_done: Annotated[bool, Field(description="its columns are what the present rules make")]


class Hours(BaseModel):
    hours: list[HourView]


@router.get("")
def list_hours(request: Request, start: Start) -> Hours:
    """Hours in which projects have spans, newest first, and whether their columns are what the present rules make."""
    store: Store = request.app.state.store
    hours = store.list_hours(since=start or EVER)
    return Hours(hours=[HourView.model_validate(hour, from_attributes=True) for hour in hours])


@router.post("", status_code=204)
def renormalise(wanted: HourOfProject, request: Request) -> None:
    """Makes the columns of one hour's spans anew from their attributes, which stay as they are."""
    store: Store = request.app.state.store
    # A trace that is being erased could be read before and written after.
    if not no_erasure.acquire(timeout=LOCK_SECONDS):
        raise StoreUnavailable("a backup is being written or something erased: go on when that is done")
    try:
        with answered():
            store.renormalise(wanted.project, wanted.hour)
    finally:
        no_erasure.release()

"""GET /api/v1/backup: everything this server keeps, as a tar file.

commands.backup → control → **backup** → backup.contents
"""

from collections.abc import Iterator
from itertools import chain

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from backtrail_query.errors import QueryError
from backtrail_query.models import Problem
from backtrail_server.backup.contents import write_backup
from backtrail_store import NotEmbedded

router = APIRouter(prefix="/api/v1/backup", tags=["administration"])


class NotOurStore(QueryError):
    """The store is somebody else's to back up. Answer 409."""

    status = 409
    title = "Not an embedded store"


@router.get(
    "", response_class=Response, responses={200: {"content": {"application/x-tar": {}}}, 409: {"model": Problem}}
)
def get_backup(request: Request) -> Response:
    """Written while it is read, without stopping anything: what was acknowledged before is in it."""
    state = request.app.state
    pieces: Iterator[bytes] = write_backup(state.store, state.inbox, state.folder)
    try:
        first = next(pieces)  # what is against it is said before the answer begins
    except NotEmbedded as error:
        raise NotOurStore(str(error)) from error
    return StreamingResponse(chain([first], pieces), media_type="application/x-tar")

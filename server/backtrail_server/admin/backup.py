"""GET /api/v1/backup: everything this server keeps, as a tar file.

commands.backup → control → **backup** → backup.contents
"""

import asyncio
from collections.abc import Generator
from itertools import chain

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from backtrail_query.errors import QueryError
from backtrail_query.models import Problem
from backtrail_server.backup.contents import write_backup
from backtrail_store import NotEmbedded

router = APIRouter(prefix="/api/v1/backup", tags=["administration"])


class NotOurStore(QueryError):
    """The store is somebody else's to back up. Answer 409."""

    status = 409
    title = "Not an embedded store"


class BackupResponse(StreamingResponse):
    """Lets go of what the backup holds on to when it ends, in whatever way: its reader may have gone in the middle."""

    def __init__(self, first: bytes, pieces: Generator[bytes, None, None]) -> None:
        super().__init__(chain([first], pieces), media_type="application/x-tar")
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await asyncio.shield(asyncio.to_thread(self._pieces.close))


@router.get(
    "", response_class=Response, responses={200: {"content": {"application/x-tar": {}}}, 409: {"model": Problem}}
)
def get_backup(request: Request) -> Response:
    """Written while it is read, without stopping anything: what was acknowledged before is in it."""
    state = request.app.state
    pieces = write_backup(state.store, state.inbox, state.folder)
    try:
        first = next(pieces)  # what is against it is said before the answer begins
    except NotEmbedded as error:
        raise NotOurStore(str(error)) from error
    return BackupResponse(first, pieces)

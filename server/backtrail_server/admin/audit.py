"""One line in the log for each change that somebody with rights made: what, and who it was.

admin → **audit** → log
"""

import logging

from fastapi import Request

from backtrail_server.auth.grant import Grant

logger = logging.getLogger("backtrail.audit")
logger.setLevel(logging.INFO)  # whatever is left out otherwise


def record(request: Request, what: str) -> None:
    grant: Grant = request.state.grant
    logger.info("%s, by %s", what, grant.actor)

"""GET /readyz: may this server be sent work, and if not, why.

    store, inbox, writer, disk → readiness → **readyz** → load balancers, supervisors, `backtrail-server check`

Degraded is ready: work is done, and a person has to look.
"""

from dataclasses import asdict
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from backtrail_query.errors import RETRY_AFTER_SECONDS, problem
from backtrail_query.models import Problem
from backtrail_query.views import json_response
from backtrail_server.auth.grant import Grant
from backtrail_server.readiness import Finding, Readiness

router = APIRouter(tags=["health"])


class Ready(BaseModel):
    status: Literal["ready", "degraded"]
    reasons: list[Finding]


@router.get("/readyz", response_model=Ready, responses={503: {"model": Problem}})
async def readyz(request: Request) -> Response:
    """200 if it is ready or degraded, 503 if it is not. Where there are keys, the reasons are for the server's own."""
    readiness: Readiness = request.app.state.readiness
    report = await readiness.report()
    grant: Grant = request.state.grant
    findings = report.findings if grant.is_server else ()
    reasons = [asdict(finding) for finding in findings]
    if report.is_ready:
        return json_response({"status": report.status, "reasons": reasons})
    return problem(
        503,
        "Not ready",
        "; ".join(finding.reason for finding in findings if finding.stops_work) or "why is for the server's own key",
        extension={"reasons": reasons},
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )

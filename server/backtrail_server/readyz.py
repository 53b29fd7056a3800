"""GET /readyz: may this server be sent work, and if not, why.

    store, inbox, writer, disk → readiness → **readyz** → load balancers, supervisors, `backtrail-server check`

Degraded is ready: work is done, and a person has to look.
"""

from collections.abc import Sequence
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from backtrail_query.errors import RETRY_AFTER_SECONDS, problem
from backtrail_query.models import Problem
from backtrail_query.views import json_response
from backtrail_server.auth.grant import Grant
from backtrail_server.readiness import Finding, Readiness

router = APIRouter(tags=["health"])


class Reason(BaseModel):
    part: Literal["store", "inbox", "writer", "disk", "quarantine"]
    reason: str
    stops_work: bool


class Ready(BaseModel):
    status: Literal["ready", "degraded"]
    reasons: list[Reason]


@router.get("/readyz", response_model=Ready, responses={503: {"model": Problem}})
async def readyz(request: Request) -> Response:
    """200 if it is ready or degraded, 503 if it is not. Where there are keys, the reasons are for the server's own."""
    readiness: Readiness = request.app.state.readiness
    report = await readiness.report()
    grant: Grant = request.state.grant
    findings = report.findings if grant.is_server else ()
    if report.is_ready:
        return json_response({"status": report.status, "reasons": reasons(findings)})
    return problem(
        503,
        "Not ready",
        "; ".join(finding.reason for finding in findings if finding.stops_work) or "why is for the server's own key",
        extension={"reasons": reasons(findings)},
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def reasons(findings: Sequence[Finding]) -> list[dict[str, object]]:
    return [{"part": finding.part, "reason": finding.reason, "stops_work": finding.stops_work} for finding in findings]

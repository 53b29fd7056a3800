"""GET /healthz, /readyz and /metrics: is the process alive, may it be sent work, what has it done."""

from collections.abc import Callable, Sequence

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from backtrail_query.errors import problem
from backtrail_query.models import Health, Problem
from backtrail_query.views import json_response

router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=Health)
def healthz() -> Response:
    """The process answers."""
    return json_response({"status": "ok"})


@router.get("/readyz", response_model=Health, responses={503: {"model": Problem}})
def readyz(request: Request) -> Response:
    """The store answers and nothing else stands in the way of new spans."""
    request.app.state.store.ping()
    checks: Sequence[Callable[[], str | None]] = getattr(request.app.state, "readiness", ())
    if reasons := [reason for check in checks if (reason := check())]:
        return problem(503, "Not ready", "; ".join(reasons), headers={"Retry-After": "2"})
    return json_response({"status": "ready"})


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request) -> Response:
    """Prometheus text."""
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)

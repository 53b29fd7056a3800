"""GET /healthz and /metrics: is the process alive, what has it done."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from backtrail_query.models import Health
from backtrail_query.views import json_response

router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=Health)
def healthz() -> Response:
    """The process answers."""
    return json_response({"status": "ok"})


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request) -> Response:
    """Prometheus text."""
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)

"""GET /api/v1/models: which models a project uses, what they cost, and which of them wait for a price."""

from fastapi import APIRouter, Response

from backtrail_query.model_views import ModelList, model_view
from backtrail_query.models import Problem
from backtrail_query.params import MAX_RUNS_PER_PAGE, End, Limit, Prices, Project, Start
from backtrail_query.views import json_response
from backtrail_store.reader import FAR_FUTURE, nanos

router = APIRouter(
    prefix="/api/v1/models", tags=["models"], responses={400: {"model": Problem}, 422: {"model": Problem}}
)


@router.get("", response_model=ModelList)
def list_models(project: Project, prices: Prices, start: Start, end: End, limit: Limit = MAX_RUNS_PER_PAGE) -> Response:
    """Those of which most spans wait for a price first, then by what they cost."""
    found = prices.list_models(project, start=nanos(start, 0), end=nanos(end, FAR_FUTURE), limit=limit)
    return json_response({"models": [model_view(model) for model in found]})

"""The way out: what is stored, told as JSON.

store.reader → rows → tree · totals · fold (pure) → views → **routes** → HTTP

GET  /api/v1/runs                         newest first, filters, cursor
GET  /api/v1/runs/{run_id}                summary, agents, steps as a tree, totals
GET  /api/v1/runs/{run_id}/checkpoints    named points to go back to
GET  /api/v1/runs/{run_id}/state          what was known at a point: ?at=…&view=…
GET  /api/v1/runs/{run_id}/otlp           the run as an OTLP request, to be sent elsewhere
POST /api/v1/runs/{run_id}/replay-bundle  everything a replay needs
GET  /api/v1/traces/{trace_id}            every span with every attribute and its log records
GET  /api/v1/traces/{trace_id}/messages   the conversation: what each model call was given and answered
GET  /api/v1/traces/{trace_id}/spans/{span_id}  one span with its messages
GET  /api/v1/logs                         log records, newest first, filters, cursor
GET  /api/v1/models                       models in use: tokens, cost, price, and what waits for one
GET  /healthz  /metrics
"""

from fastapi import APIRouter, Depends

from backtrail_query.params import settle
from backtrail_query.routes import health, logs, models, otlp, replay, runs, spans, state, traces

__all__ = ["create_router"]


def create_router() -> APIRouter:
    """All endpoints above; the app keeps `store` and `registry` in its state and installs `errors`."""
    router = APIRouter()
    for part in (runs, traces, spans, logs, models, otlp, state, replay):
        router.include_router(part.router, dependencies=[Depends(settle)])
    router.include_router(health.router)
    return router

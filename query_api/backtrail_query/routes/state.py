"""GET …/checkpoints and …/state: the points to go back to, and what was known there."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from backtrail_query.at import SPELLINGS
from backtrail_query.errors import NotFound, RunNotFound
from backtrail_query.fold import StateView
from backtrail_query.models import CheckpointPage, Problem, StateAnswer
from backtrail_query.params import Project, Reader, RunId
from backtrail_query.records import RunRecords, read_records
from backtrail_query.state import checkpoint_views, narrow, read_state
from backtrail_query.views import json_response

router = APIRouter(
    prefix="/api/v1/runs/{run_id}", tags=["state"], responses={status: {"model": Problem} for status in (400, 404, 422)}
)

At = Annotated[str, Query(description=SPELLINGS, examples=["failure"])]
View = Annotated[StateView, Query(description="actual: what memory held; effective: what a resume rebuilds")]
Scope = Annotated[str | None, Query(description="only this scope: run, or an agent's key")]
Key = Annotated[str | None, Query(description="only this key of each scope")]


@router.get("/checkpoints", response_model=CheckpointPage)
def list_checkpoints(run_id: RunId, project: Project, reader: Reader) -> Response:
    """Named points of the run and the snapshots Backtrail took by itself, in order."""
    records = _read(reader, project, run_id)
    return json_response({"checkpoints": checkpoint_views(records.snapshots)})


@router.get("/state", response_model=StateAnswer, responses={409: {"model": Problem}})
def get_state(
    run_id: RunId,
    project: Project,
    reader: Reader,
    at: At = "end",
    view: View = "actual",
    scope: Scope = None,
    key: Key = None,
) -> Response:
    """The state of the run and of its agents at a point; 409 if a record is missing before it."""
    state = read_state(_read(reader, project, run_id), at, view)
    if scope or key:
        state["values"] = narrow(state["values"], scope=scope, key=key)
        if not state["values"]:
            raise NotFound(f"nothing is known at {at} under {' '.join(filter(None, (scope, key)))}")
    return json_response({"run_id": run_id, "at": at, **state})


def _read(reader: Reader, project: Project, run_id: str) -> RunRecords:
    spans = reader.get_trace(project, run_id)
    if not spans:
        raise RunNotFound(run_id)
    return read_records(spans)

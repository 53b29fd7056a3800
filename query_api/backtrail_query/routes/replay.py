"""POST /api/v1/runs/{run_id}/replay-bundle: what a client needs to replay a run, a page at a time."""

from typing import Annotated

from fastapi import APIRouter, Body, Response
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field

from backtrail_query.bundle import NotReplayable, Wish, build_page
from backtrail_query.errors import RunNotFound
from backtrail_query.lineage import load_lineage
from backtrail_query.models import Problem
from backtrail_query.params import Project, Reader, RunId
from backtrail_store.rows import SpanRow

router = APIRouter(tags=["replay"])


EXAMPLES: dict[str, Example] = {"resume": {"value": {"mode": "resume", "at": "failure"}}}
ANSWER = {
    "schema": "replay-bundle/1",
    "run": {"run_id": "5b8efff798038103d269b633813fc60c", "name": "handle", "status": "failed", "input": {"q": "hi"}},
    "target": {"mode": "resume", "at": "failure", "step_key": "9c41…", "seq": 14, "reuse": "matching"},
    "steps": [{"step_key": "1f0a…", "name": "search", "replay_policy": "cached", "result": ["a", "b"]}],
    "page": {"next": None},
    "sha256": "3ba8…",
}


class BundleRequest(BaseModel):
    """An unknown member is refused: a wish that is ignored would replay something else."""

    model_config = ConfigDict(extra="forbid")

    mode: str = Field(default="resume", description="how to replay; there is `resume`")
    at: str | None = Field(
        default=None,
        description="from where: failure (the default), end, before:KEY, after:KEY, seq:N or checkpoint:ID",
    )
    cursor: str | None = Field(default=None, description="`page.next` of the page before")


@router.post(
    "/api/v1/runs/{run_id}/replay-bundle",
    summary="Everything needed to replay a run",
    response_class=Response,
    responses={
        200: {
            "content": {"application/json": {"schema": {"type": "object"}, "example": ANSWER}},
            "description": "a page of the bundle; its sha256 is over its canonical text (sorted keys)",
        },
        400: {"model": Problem, "description": "an unknown mode or point; the detail names those there are"},
        404: {"model": Problem, "description": "no such run in this project"},
        409: {"model": Problem, "description": "a trace that no Backtrail run recorded"},
    },
)
def get_replay_bundle(
    run_id: RunId,
    project: Project,
    reader: Reader,
    request: Annotated[BundleRequest, Body(openapi_examples=EXAMPLES)],
) -> Response:
    wish = Wish.of(request.mode, request.at)

    def read(trace_id: str) -> list[SpanRow]:
        return reader.get_trace(project, trace_id, payloads=True)

    spans = read(run_id)
    if not spans:
        raise RunNotFound(run_id)
    lineage = load_lineage(read, run_id, spans)
    if lineage is None:
        raise NotReplayable(f"{run_id} is a trace without a Backtrail run: its spans recorded no steps to replay")
    page = build_page(lineage, wish, open_status=reader.open_status, cursor=request.cursor)
    return Response(page, media_type="application/json")

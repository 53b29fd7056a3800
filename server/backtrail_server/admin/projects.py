"""/api/v1/projects: made, listed and deleted by the server's admin; its own says how long it keeps what.

commands.projects → **projects** → store, keyring
"""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from backtrail_query.errors import NotFound, QueryError
from backtrail_query.models import Problem
from backtrail_server.admin.audit import record
from backtrail_server.admin.moments import moment
from backtrail_server.auth.grant import Grant
from backtrail_server.given_prices import ProjectName
from backtrail_server.removal import ProjectRemoval
from backtrail_store import DEFAULT_PROJECT, Project, Store

router = APIRouter(
    prefix="/api/v1/projects",
    tags=["administration"],
    responses={status: {"model": Problem} for status in (401, 403, 404, 422)},
)

MOST_DAYS = 36_500


class ProjectNotFound(NotFound):
    """There is none of that name, or it is none of the caller's business: the answer is the same."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no project {name[:100]!r}")


class ProjectConflict(QueryError):
    status = 409
    title = "Not possible with this project"


class NewProject(BaseModel):
    name: ProjectName


Days = Annotated[int | None, Field(ge=0, le=MOST_DAYS, description="0 is for ever, null as the server's settings say")]


class ProjectChange(BaseModel):
    """A member that nobody knows is refused: somebody would think that it had been set."""

    model_config = ConfigDict(extra="forbid")

    spans_days: Days = None
    contents_days: Days = None


class ProjectView(BaseModel):
    name: str
    created_time: AwareDatetime | None
    spans_days: int | None
    contents_days: int | None


class ProjectList(BaseModel):
    projects: list[ProjectView]


@router.get("")
def list_projects(request: Request) -> ProjectList:
    """By name; `default` is always there."""
    store: Store = request.app.state.store
    return ProjectList(projects=[project_view(project) for project in store.projects.list()])


@router.post("", status_code=201, responses={409: {"model": Problem}})
def create_project(new: NewProject, request: Request) -> ProjectView:
    store: Store = request.app.state.store
    if store.projects.get(new.name) is not None:
        raise ProjectConflict(f"there is a project {new.name!r} already")
    if store.projects.was_deleted(new.name):
        raise ProjectConflict(f"there was a project {new.name!r}, and names are not given twice: choose another")
    project = store.projects.create(new.name)
    record(request, f"project {project.name} created")
    return project_view(project)


def administered(project: str, request: Request) -> Project:
    """The project of the path, if there is one and the caller may administer it. Raises ProjectNotFound."""
    store: Store = request.app.state.store
    grant: Grant = request.state.grant
    found = store.projects.get(project)
    if found is None or not grant.covers(project):
        raise ProjectNotFound(project)
    return found


Administered = Annotated[Project, Depends(administered)]


@router.delete("/{project}", responses={409: {"model": Problem}, 503: {"model": Problem}})
def delete_project(project: Administered, request: Request) -> ProjectView:
    """Its keys are revoked, what came in with them is stored, and all is dropped. Its name is not given again."""
    if project.name == DEFAULT_PROJECT:
        raise ProjectConflict(f"{DEFAULT_PROJECT} is the project of a server without keys: it stays")
    state = request.app.state
    for key in state.keyring.list(project.name):
        state.keyring.revoke(key)
    ProjectRemoval(store=state.store, inbox=state.inbox, project=project).run()
    record(request, f"project {project.name} deleted and its keys revoked")
    return project_view(project)


@router.patch("/{project}", responses={409: {"model": Problem}})
def set_project(project: Administered, change: ProjectChange, request: Request) -> ProjectView:
    """How long it keeps spans and texts. What is left out stays as it was; null is as the server's settings say."""
    changed = replace(project, **change.model_dump(exclude_unset=True))
    if changed.spans_days and (changed.contents_days or 0) > changed.spans_days:
        raise ProjectConflict(
            f"texts are not kept longer than their spans: contents_days is {changed.contents_days}, "
            f"spans_days is {changed.spans_days}"
        )
    state = request.app.state
    state.store.projects.put(changed)
    state.retention.look_soon()
    days = f"spans_days {changed.spans_days}, contents_days {changed.contents_days}"
    record(request, f"project {project.name} set to {days}")
    return project_view(changed)


def project_view(project: Project) -> ProjectView:
    return ProjectView(
        name=project.name,
        created_time=moment(project.created_unix_milli or None),
        spans_days=project.spans_days,
        contents_days=project.contents_days,
    )

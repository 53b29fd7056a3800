"""/api/v1/projects/{project}/keys for a project's admin, /api/v1/keys for the server's: made, listed, revoked.

commands.keys → **keys** → keyring → api_keys

The secret is in the answer to its making and nowhere else.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, StringConstraints, field_validator

from backtrail_query.errors import NotFound, QueryError
from backtrail_query.models import Problem
from backtrail_server.admin.audit import record
from backtrail_server.admin.moments import moment, unix_milli
from backtrail_server.admin.projects import Administered
from backtrail_server.auth.keyring import SETTING, KeyRing, milliseconds
from backtrail_store import ApiKey, Scope

router = APIRouter(
    prefix="/api/v1",
    tags=["administration"],
    responses={status: {"model": Problem} for status in (401, 403, 404, 422)},
)


def printable(name: str) -> str:
    """It is shown at terminals and in logs, to others than who gave it."""
    if not name.isprintable():
        raise ValueError("a name is made of characters that can be shown")
    return name


KeyName = Annotated[
    str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True), AfterValidator(printable)
]


class KeyNotFound(NotFound):
    def __init__(self, key_id: str) -> None:
        super().__init__(f"there is no key {key_id[:100]!r} here")


class KeyIsASetting(QueryError):
    status = 409
    title = "The key is a setting"


class NewServerKey(BaseModel):
    name: KeyName = Field(description="what it is for; shown in lists and in the log")
    expires_time: AwareDatetime | None = None

    @field_validator("expires_time")
    @classmethod
    def in_the_future(cls, expires: AwareDatetime | None) -> AwareDatetime | None:
        if expires is not None and expires.timestamp() * 1000 <= milliseconds():
            raise ValueError("a key cannot expire before it is made")
        return expires


class NewProjectKey(NewServerKey):
    scopes: Annotated[list[Scope], Field(min_length=1)]


class KeyView(BaseModel):
    id: str
    project: str | None = Field(description="null: a key of the server itself")
    name: str
    prefix: str
    scopes: list[Scope]
    state: Literal["good", "expired", "revoked"]
    created_time: AwareDatetime | None
    expires_time: AwareDatetime | None
    revoked_time: AwareDatetime | None


class CreatedKey(KeyView):
    key: str = Field(description="the secret; it is not shown again")


class KeyList(BaseModel):
    keys: list[KeyView]


@router.get("/projects/{project}/keys")
def list_project_keys(project: Administered, request: Request) -> KeyList:
    """Oldest first, with those that are no longer good."""
    return KeyList(keys=[key_view(key) for key in keyring(request).list(project.name)])


@router.post("/projects/{project}/keys", status_code=201)
def create_project_key(project: Administered, new: NewProjectKey, request: Request) -> CreatedKey:
    return create(request, project.name, new, new.scopes)


@router.delete("/projects/{project}/keys/{key_id}", responses={409: {"model": Problem}})
def revoke_project_key(project: Administered, key_id: str, request: Request) -> KeyView:
    return revoke(request, key_id, keyring(request).list(project.name))


@router.get("/keys")
def list_keys(request: Request) -> KeyList:
    """All keys of all projects, and the server's own."""
    return KeyList(keys=[key_view(key) for key in keyring(request).list()])


@router.post("/keys", status_code=201)
def create_server_key(new: NewServerKey, request: Request) -> CreatedKey:
    """A key that administers the server, and opens no project."""
    return create(request, "", new, ["admin"])


@router.delete("/keys/{key_id}", responses={409: {"model": Problem}})
def revoke_key(key_id: str, request: Request) -> KeyView:
    """Any key, of whatever project."""
    return revoke(request, key_id, keyring(request).list())


def create(request: Request, project: str, new: NewServerKey, scopes: list[Scope]) -> CreatedKey:
    key, secret = keyring(request).create(
        project, name=new.name, scopes=scopes, expires_unix_milli=unix_milli(new.expires_time)
    )
    whose = f"of project {project}" if project else "of the server"
    record(request, f"key {key.id} ({key.prefix}…, {key.name!r}) {whose} created for {' and '.join(key.scopes)}")
    return CreatedKey(**key_view(key).model_dump(), key=secret)


def revoke(request: Request, key_id: str, among: list[ApiKey]) -> KeyView:
    key = next((key for key in among if key.id == key_id), None)
    if key is None:
        raise KeyNotFound(key_id)
    if key.id == SETTING:
        raise KeyIsASetting(f"this key is good as long as the server runs with it: change {SETTING} and start anew")
    revoked = keyring(request).revoke(key)
    record(request, f"key {key.id} ({key.prefix}…, {key.name!r}) revoked")
    return key_view(revoked)


def keyring(request: Request) -> KeyRing:
    ring: KeyRing = request.app.state.keyring
    return ring


def key_view(key: ApiKey) -> KeyView:
    return KeyView(
        id=key.id,
        project=key.project or None,
        name=key.name,
        prefix=key.prefix,
        scopes=list(key.scopes),
        state=state_of(key),
        created_time=moment(key.created_unix_milli),
        expires_time=moment(key.expires_unix_milli),
        revoked_time=moment(key.revoked_unix_milli),
    )


def state_of(key: ApiKey) -> Literal["good", "expired", "revoked"]:
    if key.revoked_unix_milli is not None:
        return "revoked"
    if key.expires_unix_milli is not None and key.expires_unix_milli <= milliseconds():
        return "expired"
    return "good"

"""T29: who may do what, for every route and RPC that is served."""

from functools import cache
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.status_pb2 import Status

from backtrail_server import Settings, create_app
from backtrail_server.auth.policy import RPCS
from backtrail_server.auth.routes import Routes, RouteWithoutPolicy, routes_of
from tests.factories import ROOT_ID, TRACE_ID, otlp_request, plain_span
from tests.security.conftest import PROTOBUF, KeyedServer

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CALLERS = ("none", "wrong", "other", "ingest", "read", "admin", "server")

# What each caller is answered; `other` has every right, in another project. None: what the route itself says.
OPEN = (None,) * 7
ANY_KEY = (401, 401, None, None, None, None, None)
INGEST = (401, 401, None, None, 403, 403, 403)
READ = (401, 401, None, 403, None, 403, 403)
READ_ONE = (401, 401, 404, 403, None, 403, 403)
ADMIN = (401, 401, None, 403, 403, None, 403)
ADMIN_ONE = (401, 401, 404, 403, 403, None, 403)
MANAGE = (401, 401, 404, 403, 403, None, None)
MANAGE_OWN = (401, 401, None, 403, 403, None, None)
MANAGE_NONE = (401, 401, 404, 403, 403, 404, 404)
SERVER = (401, 401, 403, 403, 403, 403, None)
SERVER_ONE = (401, 401, 403, 403, 403, 403, 404)

# What is asked for where a path has a parameter; keys and projects to be deleted are made for each try.
NAMES = {
    "run_id": TRACE_ID.hex(),
    "trace_id": TRACE_ID.hex(),
    "span_id": ROOT_ID.hex(),
    "project": "shop",
    "path": "nothing",
    "id": "1",
    "user_id": "u1",
    "asset": "swagger-ui.css",
}

OTLP = {"content": otlp_request(plain_span(trace_id=bytes([9] * 16))).SerializeToString(), "headers": PROTOBUF}
DOOMED_ID = bytes([8] * 16)
DOOMED = {"content": otlp_request(plain_span(trace_id=DOOMED_ID)).SerializeToString(), "headers": PROTOBUF}

ROUTES: dict[tuple[str, str], tuple[tuple[int | None, ...], dict[str, Any]]] = {
    ("POST", "/v1/traces"): (INGEST, OTLP),
    ("POST", "/v1/traces/"): (INGEST, OTLP),
    ("POST", "/v1/logs"): (INGEST, {"json": {}}),
    ("POST", "/v1/logs/"): (INGEST, {"json": {}}),
    **{(method, "/v1/{path:path}"): (ANY_KEY, {}) for method in METHODS},
    **{(method, "/v1development/{path:path}"): (ANY_KEY, {}) for method in METHODS},
    ("GET", "/api/v1/runs"): (READ, {}),
    ("GET", "/api/v1/runs/{run_id}"): (READ_ONE, {}),
    ("GET", "/api/v1/runs/{run_id}/checkpoints"): (READ_ONE, {}),
    ("GET", "/api/v1/runs/{run_id}/state"): (READ_ONE, {}),
    ("POST", "/api/v1/runs/{run_id}/replay-bundle"): (READ_ONE, {"json": {}}),
    ("GET", "/api/v1/runs/{run_id}/otlp"): (READ_ONE, {}),
    ("GET", "/api/v1/traces/{trace_id}"): (READ_ONE, {}),
    ("GET", "/api/v1/traces/{trace_id}/messages"): (READ_ONE, {}),
    ("GET", "/api/v1/traces/{trace_id}/spans/{span_id}"): (READ_ONE, {}),
    ("GET", "/api/v1/logs"): (READ, {}),
    ("GET", "/api/v1/models"): (READ, {}),
    ("GET", "/api/v1/prices"): (MANAGE_OWN, {}),
    ("PUT", "/api/v1/prices"): (MANAGE_OWN, {"json": {"prices": [{"model": "lama", "input": 1, "output": 2}]}}),
    ("DELETE", "/api/v1/prices"): (MANAGE_NONE, {"params": {"model": "nobodys"}}),
    ("GET", "/api/v1/projects"): (SERVER, {}),
    ("POST", "/api/v1/projects"): (SERVER, {"json": {"name": "another"}}),
    ("PATCH", "/api/v1/projects/{project}"): (MANAGE, {"json": {}}),
    ("DELETE", "/api/v1/projects/{project}"): (SERVER, {}),
    ("GET", "/api/v1/projects/{project}/keys"): (MANAGE, {}),
    ("POST", "/api/v1/projects/{project}/keys"): (MANAGE, {"json": {"name": "more", "scopes": ["read"]}}),
    ("DELETE", "/api/v1/projects/{project}/keys/{key_id}"): (MANAGE, {}),
    ("GET", "/api/v1/keys"): (SERVER, {}),
    ("POST", "/api/v1/keys"): (SERVER, {"json": {"name": "more"}}),
    ("DELETE", "/api/v1/keys/{key_id}"): (SERVER, {}),
    ("GET", "/api/v1/quarantine"): (SERVER, {}),
    ("GET", "/api/v1/check"): (SERVER, {}),
    ("DELETE", "/api/v1/quarantine"): (SERVER, {}),
    ("POST", "/api/v1/quarantine/retry"): (SERVER, {}),
    ("GET", "/api/v1/quarantine/{id}"): (SERVER_ONE, {}),
    ("DELETE", "/api/v1/quarantine/{id}"): (SERVER_ONE, {}),
    ("POST", "/api/v1/quarantine/{id}/retry"): (SERVER_ONE, {}),
    ("GET", "/api/v1/backup"): (SERVER, {}),
    ("GET", "/api/v1/renormalisation"): (SERVER, {}),
    ("POST", "/api/v1/renormalisation"): (SERVER, {"json": {"project": "shop", "hour": "2026-01-01T00:00:00Z"}}),
    ("DELETE", "/api/v1/runs/{run_id}"): (ADMIN_ONE, {}),
    ("DELETE", "/api/v1/users/{user_id:path}"): (ADMIN, {}),
    ("GET", "/metrics"): (SERVER, {}),
    ("GET", "/healthz"): (OPEN, {}),
    ("GET", "/readyz"): (OPEN, {}),
    ("GET", "/"): (OPEN, {}),
    ("HEAD", "/"): (OPEN, {}),
    ("GET", "/openapi.json"): (OPEN, {}),
    ("HEAD", "/openapi.json"): (OPEN, {}),
    ("GET", "/docs"): (OPEN, {}),
    ("GET", "/docs/{asset}"): (OPEN, {}),
}


@cache
def served() -> list[tuple[str, str]]:
    return list(dict.fromkeys(routes_of(create_app(Settings(data=Path("nowhere"))))))


def path_to(template: str, method: str, keyed: KeyedServer) -> str:
    names = dict(NAMES)
    if "{key_id}" in template:
        names["key_id"] = keyed.operator.key_id(keyed.operator.create_key("shop", "read"))
    if (method, template) == ("DELETE", "/api/v1/projects/{project}"):
        keyed.operator.ask("POST", "/api/v1/projects", {"name": "doomed"}, unless_there=True)
        names["project"] = "doomed"
    if (method, template) == ("DELETE", "/api/v1/runs/{run_id}"):
        keyed.request("ingest", "POST", "/v1/traces", **DOOMED)
        names["run_id"] = DOOMED_ID.hex()
    return template.replace(":path}", "}").format(**names)


def test_t29_every_route_that_is_served_is_in_this_table_and_no_other() -> None:
    app = create_app(Settings(data=Path("nowhere")))
    described = {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}

    assert sorted(ROUTES) == sorted(served())
    assert described <= {(method, path.replace(":path}", "}")) for method, path in ROUTES}


@pytest.mark.parametrize(("method", "template"), served(), ids=lambda text: text)
def test_t29_a_route_answers_each_caller_as_the_table_says(keyed: KeyedServer, method: str, template: str) -> None:
    expected, request = ROUTES[method, template]
    path = path_to(template, method, keyed)
    found: list[int | None] = []
    for caller, status in zip(CALLERS, expected, strict=True):
        answer = keyed.request(caller, method, path, **request)
        is_served = answer.is_success or (answer.status_code == 404 and "{path:path}" in template)
        found.append(None if status is None and is_served else answer.status_code)

    assert found == list(expected)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/api/v1/nothing", "/nothing", "/api/v1/runs/", "//api/v1/runs", "/API/v1/runs"])
def test_t29_without_a_key_nobody_learns_which_paths_there_are(keyed: KeyedServer, method: str, path: str) -> None:
    assert keyed.request("none", method, path).status_code == 401
    assert keyed.request("wrong", method, path).status_code == 401
    assert keyed.request("read", method, path).status_code == 404


def test_t29_a_method_that_a_path_does_not_have_is_refused(keyed: KeyedServer) -> None:
    assert keyed.request("none", "PUT", "/api/v1/runs").status_code == 401
    answer = keyed.request("server", "PUT", "/api/v1/runs")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(
    ("method", "template"), [route for route, row in ROUTES.items() if row[0] in (READ_ONE, ADMIN_ONE)]
)
def test_t29_what_another_project_has_is_answered_as_what_nobody_has(
    keyed: KeyedServer, method: str, template: str
) -> None:
    request = ROUTES[method, template][1]
    unknown = "f" * 32
    path = template.format(**NAMES)
    nobodys = template.format(**dict.fromkeys(NAMES, unknown) | {"span_id": NAMES["span_id"]})

    theirs, nothing = (keyed.request("other", method, each, **request) for each in (path, nobodys))

    assert theirs.status_code == nothing.status_code == 404
    assert theirs.text.replace(NAMES["run_id"], unknown) == nothing.text
    assert {*theirs.headers} == {*nothing.headers}


def test_t29_another_projects_keys_are_answered_as_those_of_a_project_that_nobody_made(keyed: KeyedServer) -> None:
    shop, nobodys = (keyed.request("other", "GET", f"/api/v1/projects/{name}/keys") for name in ("shop", "bank"))

    assert shop.status_code == nobodys.status_code == 404
    assert shop.text.replace("shop", "bank") == nobodys.text


def test_t29_no_cache_on_the_way_keeps_what_a_key_was_told(keyed: KeyedServer) -> None:
    for caller, path in (("read", "/api/v1/runs"), ("server", "/metrics"), ("read", "/api/v1/runs/" + "e" * 32)):
        assert keyed.request(caller, "GET", path).headers["cache-control"] == "no-store"
    assert "cache-control" not in keyed.request("read", "GET", "/docs").headers


def test_t29_the_description_of_the_api_says_that_it_takes_a_key(keyed: KeyedServer) -> None:
    described = keyed.request("none", "GET", "/openapi.json").json()

    assert described["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert described["paths"]["/api/v1/runs"]["get"]["security"] == [{"HTTPBearer": []}]


def test_t29_refusals_are_counted_for_the_servers_admin(keyed: KeyedServer) -> None:
    counted = 'backtrail_requests_denied_total{reason="MissingKey"} '

    def count() -> float:
        metrics = keyed.request("server", "GET", "/metrics").text
        return float(metrics.partition(counted)[2].partition("\n")[0] or 0)

    before = count()
    keyed.request("none", "POST", "/v1/traces", **OTLP)
    call(keyed.server.grpc_target, "/no/Such", ())

    assert count() == before + 2


def test_t29_a_refusal_is_told_in_the_words_of_whom_it_is_for(keyed: KeyedServer) -> None:
    problem = keyed.request("none", "GET", "/api/v1/runs")
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.headers["www-authenticate"] == 'Bearer realm="backtrail"'
    assert "Authorization: Bearer" in problem.json()["detail"]

    forbidden = keyed.request("ingest", "GET", "/api/v1/runs")
    assert forbidden.json()["detail"] == (
        "GET /api/v1/runs takes a project's key with the scope read; this is a key for ingest"
    )

    status = Status.FromString(keyed.request("none", "POST", "/v1/traces", **OTLP).content)
    assert (status.code, "Authorization: Bearer" in status.message) == (grpc.StatusCode.UNAUTHENTICATED.value[0], True)
    in_json = keyed.request("read", "POST", "/v1/traces", json={})
    assert (in_json.status_code, in_json.json()["code"]) == (403, grpc.StatusCode.PERMISSION_DENIED.value[0])


def test_t29_a_route_without_a_policy_stops_the_app() -> None:
    app = create_app(Settings(data=Path("nowhere")))

    @app.get("/api/v1/forgotten")
    def forgotten() -> None: ...

    with pytest.raises(RouteWithoutPolicy, match="GET /api/v1/forgotten is not in the policy"):
        Routes(app)


# --- gRPC ---------------------------------------------------------------------------------------------------

RPC_CODES = {
    "none": "UNAUTHENTICATED",
    "wrong": "UNAUTHENTICATED",
    "other": "served",
    "ingest": "served",
    "read": "PERMISSION_DENIED",
    "admin": "PERMISSION_DENIED",
    "server": "PERMISSION_DENIED",
}
UNKNOWN_RPC_CODES = RPC_CODES | dict.fromkeys(("other", "ingest", "read", "admin", "server"), "UNIMPLEMENTED")


def call(target: str, method: str, metadata: tuple[tuple[str, str], ...]) -> str:
    with grpc.insecure_channel(target) as channel:
        try:
            channel.unary_unary(method, None, None)(b"", metadata=metadata, timeout=30)
        except grpc.RpcError as error:
            return str(error.code().name)
        return "served"


@pytest.mark.parametrize("method", [*RPCS, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/no/Such"])
def test_t29_an_rpc_answers_each_caller_as_the_table_says(keyed: KeyedServer, method: str) -> None:
    found = {
        caller: call(keyed.server.grpc_target, method, (("authorization", f"Bearer {key}"),) if key else ())
        for caller, key in keyed.keys.items()
    }

    assert found == {caller: (RPC_CODES if method in RPCS else UNKNOWN_RPC_CODES)[caller] for caller in found}

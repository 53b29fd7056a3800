"""Which right each route and RPC asks for: the one table. What is not in it is not served.

    routes → **policy** → gate, rpc_gate

open      everybody, with or without a key
key       any good key: nothing of anybody is told
ingest    a project's key with this scope, and so are read and admin
manage    the administration of a project: its own admin key, or the server's
server    the server's admin key: what concerns all projects
"""

from collections.abc import Mapping
from typing import Literal

from backtrail_ingest.signals import SIGNALS
from backtrail_server.auth.grant import Grant
from backtrail_server.auth.refusals import NotAllowed

Access = Literal["open", "key", "ingest", "read", "admin", "manage", "server"]

_ANY = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

ROUTES: Mapping[tuple[str, str], Access] = {
    **{("POST", signal.path + end): "ingest" for signal in SIGNALS.values() for end in ("", "/")},
    **{(method, "/v1/{path:path}"): "key" for method in _ANY},
    **{(method, "/v1development/{path:path}"): "key" for method in _ANY},
    ("GET", "/api/v1/runs"): "read",
    ("GET", "/api/v1/runs/{run_id}"): "read",
    ("GET", "/api/v1/runs/{run_id}/checkpoints"): "read",
    ("GET", "/api/v1/runs/{run_id}/state"): "read",
    ("POST", "/api/v1/runs/{run_id}/replay-bundle"): "read",
    ("GET", "/api/v1/runs/{run_id}/otlp"): "read",
    ("GET", "/api/v1/traces/{trace_id}"): "read",
    ("GET", "/api/v1/traces/{trace_id}/messages"): "read",
    ("GET", "/api/v1/traces/{trace_id}/spans/{span_id}"): "read",
    ("GET", "/api/v1/logs"): "read",
    ("GET", "/api/v1/models"): "read",
    ("GET", "/api/v1/projects"): "server",
    ("POST", "/api/v1/projects"): "server",
    ("PATCH", "/api/v1/projects/{project}"): "manage",
    ("DELETE", "/api/v1/projects/{project}"): "server",
    ("GET", "/api/v1/projects/{project}/keys"): "manage",
    ("POST", "/api/v1/projects/{project}/keys"): "manage",
    ("DELETE", "/api/v1/projects/{project}/keys/{key_id}"): "manage",
    ("GET", "/api/v1/keys"): "server",
    ("POST", "/api/v1/keys"): "server",
    ("DELETE", "/api/v1/keys/{key_id}"): "server",
    ("GET", "/api/v1/prices"): "manage",
    ("PUT", "/api/v1/prices"): "manage",
    ("DELETE", "/api/v1/prices"): "manage",
    ("GET", "/api/v1/quarantine"): "server",
    ("GET", "/api/v1/check"): "server",
    ("DELETE", "/api/v1/quarantine"): "server",
    ("POST", "/api/v1/quarantine/retry"): "server",
    ("GET", "/api/v1/quarantine/{id}"): "server",
    ("DELETE", "/api/v1/quarantine/{id}"): "server",
    ("POST", "/api/v1/quarantine/{id}/retry"): "server",
    ("GET", "/api/v1/backup"): "server",
    ("GET", "/api/v1/renormalisation"): "server",
    ("POST", "/api/v1/renormalisation"): "server",
    ("DELETE", "/api/v1/runs/{run_id}"): "admin",
    ("DELETE", "/api/v1/users/{user_id:path}"): "admin",
    ("GET", "/metrics"): "server",
    ("GET", "/healthz"): "open",
    ("GET", "/readyz"): "open",
    **{(method, "/"): "open" for method in ("GET", "HEAD")},
    # What the API looks like, the same for every server of this version.
    **{(method, "/openapi.json"): "open" for method in ("GET", "HEAD")},
    ("GET", "/docs"): "open",
    ("GET", "/docs/{asset}"): "open",
}

RPCS: Mapping[str, Access] = {f"/{signal.service}/Export": "ingest" for signal in SIGNALS.values()}

UNKNOWN: Access = "key"  # whether there is such a route or RPC is for those to know who have a key


def check(grant: Grant, access: Access, what: str) -> None:
    """Raises NotAllowed."""
    if not _is_allowed(grant, access):
        raise NotAllowed(f"{what} takes {_WANTED[access]}; this is {_described(grant)}")


def _is_allowed(grant: Grant, access: Access) -> bool:
    match access:
        case "open":
            return True
        case "key":
            return bool(grant.scopes)
        case "manage":
            return "admin" in grant.scopes
        case "server":
            return grant.is_server
        case _:
            return access in grant.scopes and bool(grant.project)


_WANTED: Mapping[Access, str] = {
    "open": "no key",
    "key": "a key",
    "ingest": "a project's key with the scope ingest",
    "read": "a project's key with the scope read",
    "admin": "a project's key with the scope admin",
    "manage": "a key with the scope admin",
    "server": "the server's own admin key",
}


def _described(grant: Grant) -> str:
    whose = "a key of the server" if grant.is_server else "a key"
    scopes = " and ".join(sorted(grant.scopes)) or "nothing"
    return f"{whose} for {scopes}"

"""API keys: whose they are and what they may do. Never the secrets themselves.

admin → **keys** → api_keys (table) → the keyring of every serving process
"""

from dataclasses import dataclass
from typing import Literal, get_args

from backtrail_store.client import ClientPool
from backtrail_store.rewritten import Milliseconds, put, rows_of

Scope = Literal["ingest", "read", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """`project` is empty for a key of the server itself; `prefix` is what people know the secret by."""

    id: str
    project: str
    name: str
    prefix: str
    sha256: str
    scopes: tuple[Scope, ...]
    created_unix_milli: Milliseconds
    expires_unix_milli: Milliseconds | None = None
    revoked_unix_milli: Milliseconds | None = None


class KeyTable:
    def __init__(self, clients: ClientPool) -> None:
        self._clients = clients

    def list(self) -> list[ApiKey]:
        """Every key that ever was, oldest first. Raises StoreUnavailable."""
        return [
            ApiKey(**{**row, "scopes": tuple(scope for scope in SCOPES if scope in row["scopes"])})
            for row in rows_of(self._clients, "list_api_keys")
        ]

    def put(self, key: ApiKey) -> None:
        """Takes the place of what was known under this id. Returns when it is on disk."""
        columns = {
            "id": key.id,
            "project": key.project,
            "name": key.name,
            "prefix": key.prefix,
            "sha256": key.sha256,
            "scopes": key.scopes,
            "created_time": key.created_unix_milli,
            "expires_time": key.expires_unix_milli,
            "revoked_time": key.revoked_unix_milli,
        }
        put(self._clients, "api_keys", columns)

"""Under which rights a request runs.

gate, rpc_gate → **Grant** → routes (`request.state.grant`), services
"""

from dataclasses import dataclass

from backtrail_store import DEFAULT_PROJECT, SCOPES, ApiKey, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """`actor` says in the log who it was. A grant of the server as a whole has no project, but for those who own it."""

    actor: str
    project: str
    scopes: frozenset[Scope]
    is_server: bool

    def covers(self, project: str) -> bool:
        """Whether this project's keys and settings are its to administer."""
        return "admin" in self.scopes and (self.is_server or (bool(project) and project == self.project))


def grant_of(key: ApiKey) -> Grant:
    is_server = not key.project
    return Grant(
        actor=f"key {key.id} ({key.prefix}…)",
        project=key.project,
        scopes=frozenset(key.scopes),
        is_server=is_server and "admin" in key.scopes,
    )


def _owner(actor: str) -> Grant:
    return Grant(actor=actor, project=DEFAULT_PROJECT, scopes=frozenset(SCOPES), is_server=True)


OPERATOR = _owner("the operator")  # through the control socket: whoever may write the data folder
ANYBODY = _owner("anybody")  # on loopback, as long as there is no key
STRANGER = Grant(actor="a stranger", project="", scopes=frozenset(), is_server=False)

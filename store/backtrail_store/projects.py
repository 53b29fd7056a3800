"""Projects: the names under which spans are sent, kept and read.

    admin → **projects** → projects (table)

`default` is always there: it is the project of a server without keys.
"""

from dataclasses import dataclass

from backtrail_store.client import ClientPool
from backtrail_store.questions import ask
from backtrail_store.rewritten import Milliseconds, now, put, rows_of

DEFAULT_PROJECT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """How many days its spans and their payload texts are kept; None leaves it to the server's settings."""

    name: str
    created_unix_milli: Milliseconds = 0
    spans_days: int | None = None
    contents_days: int | None = None


class ProjectTable:
    def __init__(self, clients: ClientPool) -> None:
        self._clients = clients

    def list(self) -> list[Project]:
        """By name. Raises StoreUnavailable."""
        found = {row["name"]: Project(**row) for row in rows_of(self._clients, "list_projects")}
        found.setdefault(DEFAULT_PROJECT, Project(name=DEFAULT_PROJECT))
        return [found[name] for name in sorted(found)]

    def get(self, name: str) -> Project | None:
        return next((project for project in self.list() if project.name == name), None)

    def was_deleted(self, name: str) -> bool:
        """Names are not given twice: what is still on its way to a deleted project must not reach another."""
        return bool(ask(self._clients, "was_project_deleted", name=name).result_rows[0][0])

    def create(self, name: str) -> Project:
        project = Project(name=name, created_unix_milli=now())
        self.put(project)
        return project

    def put(self, project: Project) -> None:
        """Takes the place of what was known under this name."""
        self._write(project, is_deleted=False)

    def delete(self, project: Project) -> None:
        """Takes the name off the list, for good; rows and keys are somebody else's to remove."""
        self._write(project, is_deleted=True)

    def _write(self, project: Project, *, is_deleted: bool) -> None:
        columns = {
            "name": project.name,
            "created_time": project.created_unix_milli,
            "spans_days": project.spans_days,
            "contents_days": project.contents_days,
            "is_deleted": int(is_deleted),
        }
        put(self._clients, "projects", columns)

"""What it takes until a project is gone: out of the inbox, out of quarantine, out of the store.

    admin.projects → **removal** → inbox, store

Its keys are revoked by then, so nothing new comes in. What waits is stored first, and then dropped with the rest.
"""

from dataclasses import dataclass

from backtrail_ingest import Inbox
from backtrail_ingest.inbox.inbox_file import InboxFile
from backtrail_server.waiting import wait_while
from backtrail_store import Project, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectRemoval:
    store: Store
    inbox: Inbox
    project: Project

    def run(self) -> None:
        """Raises StoreUnavailable; then it is still on the list, and may be deleted again."""
        self._wait_until_stored()
        for request in self.inbox.ask(InboxFile.quarantined):
            if request.project == self.project.name:
                self.inbox.drop(request.id)
        self.store.drop_project(self.project.name)
        self.store.projects.delete(self.project)

    def _wait_until_stored(self) -> None:
        wait_while(
            lambda: self.project.name in dict(self.inbox.ask(InboxFile.sizes)),
            in_vain=f"what waits in the inbox for {self.project.name} is not stored yet, so its keys are revoked "
            "but nothing is deleted: delete it again",
        )

"""Who may do what, how deep, how often and until when: a run carries it along, typed. Start reading at `tidy_up`.

    tidy_up                    run: one user's request
    └─ caretaker "home"        agent: removes what is temporary …
       ├─ back_up, remove      tools: ask the context what is allowed, and how patient to be
       └─ caretaker "home/old" … and hands each folder within to a caretaker of its own, one deeper

An interceptor at the door asks the same context who comes in. Nobody passes the context on and nobody counts: a tool
gets it by naming its type, and a delegated agent gets one that says its own task and depth. The spans say the same.

    python -m examples.typed_contexts
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from backtrail import Client, InterceptContext, Interceptor, InterceptResult, Phase, agent, now_utc, run, tool
from backtrail._reading.answers import Run
from backtrail.contexts import ExecutionContext
from backtrail.errors import ContextLimitError, InterceptedError
from examples.recorded_here import newest, recorded_here

FILES = ["home/letter.txt", "home/a.tmp", "home/old/b.tmp", "home/old/1999/c.tmp", "home/old/1999/jan/d.tmp"]


class Storage:
    """Where the files are: a service, so it is on the context and in no recording. Its backup is slow."""

    def __init__(self, backup_seconds: int) -> None:
        self.files = list(FILES)
        self.backup_seconds = backup_seconds

    def names(self, folder: str) -> list[str]:
        return [name for name in self.files if name.rpartition("/")[0] == folder]

    def folders(self, folder: str) -> list[str]:
        within = (name.removeprefix(f"{folder}/") for name in self.files if name.startswith(f"{folder}/"))
        return sorted({f"{folder}/{rest.split('/')[0]}" for rest in within if "/" in rest})


@dataclass(frozen=True)
class HomeContext(ExecutionContext):  # type: ignore[misc]  # ours are neither frozen nor not
    """Our own fields beside the ready-made ones: task_id, depth, max_depth, retry_count, deadline …"""

    user_id: str
    tenant: str
    storage: Storage
    permissions: frozenset[str] = field(default_factory=frozenset)

    def may(self, permission: str) -> bool:
        return permission in self.permissions


@tool
def back_up(folder: str, ctx: HomeContext) -> str:
    patience = 5 + 10 * ctx.retry_count
    if ctx.storage.backup_seconds > patience:
        raise TimeoutError(f"the backup of {folder} took longer than {patience} s")
    return f"{folder}: backed up within {patience} s"


@tool
def remove(name: str, ctx: HomeContext) -> str:
    if not ctx.may("delete"):
        return f"{name}: {ctx.user_id} of {ctx.tenant} may not delete"
    if ctx.is_overdue:
        return f"{name}: left, the time is over"
    ctx.storage.files.remove(name)
    return f"{name}: removed"


@agent
def caretaker(folder: str, ctx: HomeContext) -> list[str]:
    report = [back_up(folder)] if ctx.is_root_task else []
    report += [remove(name) for name in ctx.storage.names(folder) if name.endswith(".tmp")]
    for inner in ctx.storage.folders(folder):
        if ctx.can_delegate:
            report += caretaker(inner)
        else:
            report.append(f"{inner}: left, nobody may go deeper than {ctx.max_depth}")
    return report


class Doorkeeper(Interceptor):
    """Asked before and after every run, agent and step; what is stopped here never begins."""

    def intercept(self, phase: Phase, context: InterceptContext) -> InterceptResult:
        if phase is Phase.BEFORE_RUN and not context.run_context.may("enter"):
            return InterceptResult.stop(f"{context.run_context.user_id} may not come in")
        return InterceptResult.continue_()


@run(interceptors=[Doorkeeper()])
def tidy_up(request: str) -> list[str]:
    return caretaker("home")


def patiently(request: str, context: HomeContext) -> list[str]:
    """Each try is a run of its own; its context says which try it is."""
    while True:
        try:
            return tidy_up(request, context=context)
        except InterceptedError as stop:
            return [f"stopped: {stop.reason}"]
        except TimeoutError as error:
            print(f"  {error}")
            try:
                context = context.for_retry()
            except ContextLimitError as limit:
                return [f"given up: {limit}"]


def lineage(client: Client, run: Run) -> Iterator[str]:
    """What the server knows of each agent, from its span alone."""
    for span in client.trace(run.run_id).spans:
        said = span.attributes
        if said["backtrail.kind"] == "agent" and not span.is_pending:
            chain = " > ".join(task[:6] for task in [*said.get("backtrail.task.chain", []), said["backtrail.task.id"]])
            yield f"depth {said['backtrail.depth']} of {said['backtrail.max_depth']}, task {chain}"


def main() -> None:
    guest, everything = frozenset({"enter"}), frozenset({"enter", "delete"})
    late = now_utc() - timedelta(seconds=1)
    requests = {
        "may not even come in": HomeContext("zoe", "acme", Storage(1)),
        "may not delete": HomeContext("ada", "acme", Storage(1), guest),
        "may, but not deep": HomeContext("bob", "acme", Storage(1), everything, max_depth=1),
        "may, at the second try": HomeContext("eve", "initech", Storage(12), everything, max_retries=2),
        "may, but too late": HomeContext("dan", "initech", Storage(1), everything, deadline=late),
        "may, but no backup": HomeContext("joe", "initech", Storage(99), everything, max_retries=1),
    }
    with recorded_here("typed-contexts") as (client, _):
        for title, context in requests.items():
            print(f"{context.user_id} of {context.tenant} {title}")
            for line in patiently("Tidy up, please.", context):
                print(f"  {line}")
        print("\nwhat is on record of bob's request")
        for line in lineage(client, newest(client, user_id="bob")[0]):
            print(f"  {line}")


if __name__ == "__main__":
    main()

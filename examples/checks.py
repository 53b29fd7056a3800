"""What the demo claims, and whether it held; and three ways to look into a tree for that."""

from collections.abc import Iterator

from rich.console import Console
from rich.rule import Rule

from backtrail._reading.answers import Node


class Checks:
    def __init__(self) -> None:
        self.held: list[str] = []
        self.broken: list[tuple[str, object]] = []

    def that(self, claim: str, held: bool, seen: object) -> None:
        if held:
            self.held.append(claim)
        else:
            self.broken.append((claim, seen))

    @property
    def all_held(self) -> bool:
        return not self.broken

    def show(self, console: Console, remark: str) -> None:
        console.print()
        console.print(Rule("[bold]Checked", align="left", style="dim"))
        for claim in self.held:
            console.print(f"[green]✓[/green] {claim}")
        for claim, seen in self.broken:
            console.print(f"[red]✗ {claim}[/red]: seen was {seen}", markup=True)
        console.print()
        console.print(f"[dim]{remark}[/dim]")


def paths_of_agents(node: Node, above: str = "") -> list[str]:
    """Every agent with the agents that delegated to it: `triage/refunds`."""
    path = f"{above}/{node.agent_name}".lstrip("/") if node.kind == "agent" else above
    return ([path] if node.kind == "agent" else []) + [
        found for child in node.children for found in paths_of_agents(child, path)
    ]


def steps_named(node: Node, name: str) -> Iterator[Node]:
    if node.kind == "step" and node.name.endswith(name):
        yield node
    for child in node.children:
        yield from steps_named(child, name)


def names_in(node: Node) -> list[str]:
    return [node.name, *(name for child in node.children for name in names_in(child))]

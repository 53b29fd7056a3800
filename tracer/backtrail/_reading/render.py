"""Runs, trees and states for people's eyes; the demo shows the same views.

    client → answers → **render** → terminal

Colour repeats what a mark already says, so that nothing is lost without it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType, RenderResult
from rich.padding import Padding
from rich.pretty import Pretty
from rich.table import Table
from rich.text import Text

from backtrail._reading.answers import Node, Run, RunStatus, RunSummary, State
from backtrail._reading.figures import ago, cost, count, duration, tokens
from backtrail._reading.log_lines import Records, log_summary
from backtrail._reading.tree import MARKS, TreeTable, short_name
from backtrail._reading.values import Value, is_withheld
from backtrail._reading.visible import Visible, one_line
from backtrail._replay.divergence import Divergence
from backtrail._replay.replaying import ReplayResult

SHORT_ID = 8
RUN_COLUMNS: Sequence[tuple[str, JustifyMethod]] = (
    ("run", "left"),
    ("status", "left"),
    ("name", "left"),
    ("started", "right"),
    ("took", "right"),
    ("steps", "right"),
    ("tokens", "right"),
    ("cost", "right"),
)
NAME = 2  # the column
NARROWEST_NAME = 18  # handle  ↻ 71c455da
SPARED = ("tokens", "steps", "took", "started")  # columns a narrow terminal does without, in this order
GAP = 2


MOST_DIVERGENCES = 20


def run_table(runs: Sequence[RunSummary], *, now: datetime | None = None) -> RenderableType:
    """One line for each run."""
    if not runs:
        return Text("No runs yet.", style="dim")
    return Visible(_RunTable([_run_cells(run, now or datetime.now(UTC)) for run in runs]))


class _RunTable:
    """Where the terminal is narrow, names give way, then whole columns, and what is left keeps its width."""

    def __init__(self, rows: Sequence[Sequence[Text]]) -> None:
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = [
            max(len(header), *(cells[index].cell_len for cells in self._rows))
            for index, (header, _) in enumerate(RUN_COLUMNS)
        ]
        shown = self._choose_columns(widths, options.max_width)
        room = options.max_width - sum(widths[index] + GAP for index in shown if index != NAME)
        widths[NAME] = min(widths[NAME], max(room, NARROWEST_NAME))
        table = Table(box=None, padding=(0, GAP, 0, 0), header_style="dim", pad_edge=False)
        for index in shown:
            header, justify = RUN_COLUMNS[index]
            table.add_column(header, justify=justify, no_wrap=True, overflow="ellipsis", width=widths[index])
        for cells in self._rows:
            table.add_row(*(cells[index] for index in shown))
        yield table

    def _choose_columns(self, widths: Sequence[int], room: int) -> list[int]:
        shown = list(range(len(RUN_COLUMNS)))
        for spared in SPARED:
            narrowest = min(widths[NAME], NARROWEST_NAME) + sum(widths[index] + GAP for index in shown if index != NAME)
            if narrowest <= room:
                break
            shown = [index for index in shown if RUN_COLUMNS[index][0] != spared]
        return shown


def run_view(run: Run, records: Records | None = None) -> RenderableType:
    """One run: what it was asked, the tree of what it did, and how it ended; with `records` also what was logged."""
    parts: list[RenderableType] = [_headline(run), _facts(run), Text(), TreeTable(run.tree, records)]
    if run.logs:
        parts.append(Text.assemble("+ ", log_summary(run.logs), ", of spans that are not here", style="dim"))
    if run.status == "failed" and (run.error_message or run.error_type):
        parts += [Text(), _ending("✗", "red", _error_text(run))]
    elif run.result is not None:
        parts += [Text(), _ending("→", "green", Value(run.result))]
    return Visible(*parts)


def tree_view(root: Node) -> RenderableType:
    return Visible(TreeTable(root))


def state_view(state: State, names: Mapping[str, str] | None = None) -> RenderableType:
    """What was known at a point, scope by scope; `names` are those of agents and steps, by their keys."""
    names = names or {}
    head = Text.assemble(("state ", "dim"), (state.at, "bold"), (f"  seq {state.at_seq}, {state.view}", "dim"))
    parts: list[RenderableType] = [head]
    for scope, values in state.values.items():
        parts += [Text(), _scope_name(scope, names), Padding(_value_table(values), (0, 0, 0, 2))]
    for key in state.truncated:
        if not is_withheld(state.values.get(key.scope, {}).get(key.key)):
            parts.append(Text(f"! {key.key} was too long to record", style="yellow"))
    for key in state.conflicts:
        parts.append(Text(f"! {key.key} may have been written by a step that is left out", style="yellow"))
    if state.excluded:
        steps = ", ".join(f"{short_name(names.get(key, ''))} {key[:SHORT_ID]}".lstrip() for key in state.excluded)
        parts.append(Text(f"! without the writes of steps that never ended or run again: {steps}", style="yellow"))
    return Visible(*parts)


def replay_view(run_id: str, result: ReplayResult[Any]) -> RenderableType:
    """What a replay gave back, how little of it had to run, and where it left its record."""
    return Visible(
        Text.assemble(("↻ ", "cyan"), "replayed ", (run_id[:SHORT_ID], "cyan"), " as ", (result.run_id, "cyan")),
        Text(f"{count(result.hits, 'step')} from the record, {result.live} live", style="dim"),
        *_divergence_lines(result.divergences),
        Text(),
        _ending("→", "green", result.value if isinstance(result.value, str) else Pretty(result.value)),
    )


def _divergence_lines(divergences: Sequence[Divergence]) -> Iterator[Text]:
    for one in divergences[:MOST_DIVERGENCES]:
        yield Text(f"! {one.kind.replace('_', ' ')}: {one.name}: {one.detail}", style="yellow")
    if (more := len(divergences) - MOST_DIVERGENCES) > 0:
        yield Text(f"! and {count(more, 'more difference')}", style="yellow")


def status_text(status: RunStatus) -> Text:
    mark, style = MARKS[status]
    return Text(f"{mark} {status}", style=style)


def _headline(run: Run) -> Text:
    headline = Text.assemble((one_line(run.name), "bold"), "  ", status_text(run.status), ("  " + run.run_id, "cyan"))
    if run.replay_of:
        headline.append(f"\nreplay of {run.replay_of}", style="cyan")
    return headline


def _facts(run: Run) -> Text:
    facts = [
        run.start_time.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
        duration(run.duration_ns) if run.status != "running" else "still running",
        count(run.agent_count, "agent") if run.agent_count else "",
        count(run.step_count, "step") + (f", {run.replayed_count} from the record" if run.replayed_count else ""),
        count(run.llm_calls, "model call"),
        cost(run.cost_usd, unpriced=run.unpriced_calls) and f"cost {cost(run.cost_usd, unpriced=run.unpriced_calls)}",
    ]
    text = Text(" · ".join(fact for fact in facts if fact), style="dim")
    if run.lost_count:
        text.append(f"\n! not whole: {count(run.lost_count, 'span')} could not be delivered", style="yellow")
    return Text.assemble(text, (f"\n“{run.query}”", "italic")) if run.query else text


def _value_table(values: Mapping[str, object]) -> RenderableType:
    if not values:
        return Text("(empty)", style="dim")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True, style="cyan")
    table.add_column(overflow="fold")
    for key, value in values.items():
        table.add_row(key, Value(value))
    return table


def _scope_name(scope: str, names: Mapping[str, str]) -> Text:
    key, _, process = scope.partition("@")
    name = (
        Text("run", style="bold")
        if key == "run"
        else Text.assemble(("agent ", "dim"), (_agent_name(key, names), "bold"))
    )
    return name.append(f" in process {process}", style="dim") if process else name


def _agent_name(key: str, names: Mapping[str, str]) -> str:
    return names.get(key, key[:SHORT_ID])


def _ending(mark: str, style: str, outcome: RenderableType) -> RenderableType:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_row(Text(mark, style=style), outcome)
    return grid


def _error_text(run: Run) -> Text:
    error_type = run.error_type or "error"
    short_type = error_type.rpartition(".")[2]
    message = (run.error_message or "").removeprefix(f"{short_type}: ")
    if message in ("", short_type):
        return Text(error_type, style="bold red")
    return Text.assemble((f"{error_type}: ", "bold red"), message)


def _run_cells(run: RunSummary, now: datetime) -> list[Text]:
    return [
        Text(run.run_id[:SHORT_ID], style="cyan"),
        status_text(run.status),
        _run_name(run),
        Text(ago(run.start_time, now)),
        Text(duration(run.duration_ns) if run.status != "running" else "…"),
        Text(_steps(run)),
        Text(tokens(run.input_tokens, run.output_tokens)),
        Text(cost(run.cost_usd, unpriced=run.unpriced_calls)),
    ]


def _run_name(run: RunSummary) -> Text:
    name = Text(one_line(run.name))
    if run.replay_of:
        name.append(f"  ↻ {run.replay_of[:SHORT_ID]}", style="cyan")
    if run.lost_count:
        name.append(f"  ! {count(run.lost_count, 'span')} lost", style="yellow")
    return name


def _steps(run: RunSummary) -> str:
    return f"{run.step_count}" if not run.replayed_count else f"{run.replayed_count}↻ {run.step_count}"

"""backtrail runs · show · state · models · replay · export · import: the query API at a terminal.

    shell → **cli** → client → (HTTP) → query API

Output is for people, `--json` for programs. Exit code 0: done; 1: asked well, but no; 2: cannot even ask.
"""

import argparse
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from pydantic_core import to_json

from backtrail._payloads.codec import encode
from backtrail._reading.answers import LogRecord, OtlpForm, Run, RunStatus, StateView
from backtrail.client import Client
from backtrail.errors import ApiError, BacktrailError, ServerUnreachableError

FULL_ID = 32
POINTS = "failure, end, seq:N, before:KEY, after:KEY or checkpoint:ID"
NEWEST = 1000  # runs among which a short id is looked for
RECORDS_AT_ONCE = 1000
CLEAR_LINE = "\r\x1b[K"


class Refused(Exception):
    """What was typed cannot be done; the message says why."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        with _client(arguments.endpoint) as client:
            arguments.command(client, arguments)
    except Refused as error:
        return _fail(str(error), 2)
    except ServerUnreachableError as error:
        return _fail(f"{error}. Is `backtrail-server serve` running?", 2)
    except ApiError as error:
        return _fail(str(error), 2 if error.status < 500 and error.status not in (404, 409) else 1)
    except BacktrailError as error:
        return _fail(str(error), 1)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    return 0


def show_runs(client: Client, arguments: argparse.Namespace) -> None:
    page = client.runs(status=arguments.status, limit=arguments.limit)
    if arguments.json:
        _print_json(page)
        return
    _print(_render().run_table(page.runs))


def show_run(client: Client, arguments: argparse.Namespace) -> None:
    run_id = _find_run(client, arguments.run)
    if arguments.messages:
        show_messages(client, run_id, as_json=arguments.json)
        return
    run = client.run(run_id)
    if arguments.json:
        _print_json(run)
        return
    _print(_render().run_view(run, _records(client, run) if arguments.verbose else None))


def show_messages(client: Client, run_id: str, *, as_json: bool) -> None:
    conversation = client.messages(run_id)
    if as_json:
        _print_json(conversation)
    else:
        _print(_render("conversation").conversation_view(conversation))


def _records(client: Client, run: Run) -> dict[str, list[LogRecord]]:
    """The run's log records by span, in order of time."""
    page = client.logs(trace_id=run.run_id, limit=RECORDS_AT_ONCE)
    newest_first = page.logs
    while page.next_cursor is not None:
        page = client.logs(trace_id=run.run_id, limit=RECORDS_AT_ONCE, cursor=page.next_cursor)
        newest_first += page.logs
    records: dict[str, list[LogRecord]] = {}
    for record in reversed(newest_first):
        records.setdefault(record.span_id or "", []).append(record)
    return records


def show_state(client: Client, arguments: argparse.Namespace) -> None:
    run_id = _find_run(client, arguments.run)
    state = client.get_state(run_id, at=arguments.at, view=arguments.view)
    if arguments.json:
        _print_json(state)
        return
    _print(_render().state_view(state, _names(client.run(run_id))))


def _names(run: Run) -> dict[str, str]:
    """What agents and steps are called, by their keys."""
    names = {agent.agent_key: agent.name for agent in run.agents if agent.agent_key}
    waiting = [run.tree]
    while waiting:
        node = waiting.pop()
        waiting += node.children
        if node.step_key:
            names[node.step_key] = node.name
    return names


def show_models(client: Client, arguments: argparse.Namespace) -> None:
    models = client.models(start=arguments.start, end=arguments.end)
    if arguments.json:
        _print_json({"models": models})
        return
    _print(_render("models").model_table(models))


def replay_run(client: Client, arguments: argparse.Namespace) -> None:
    function = _load(arguments.app)
    run_id = _find_run(client, arguments.run)
    result = client.replay_sync(
        run_id,
        function,
        at=arguments.at,
        code_change=arguments.code_change,
        on_input_change=arguments.on_input_change,
        on_undecodable=arguments.on_undecodable,
        allow_unsafe=arguments.allow_unsafe,
        force=arguments.force,
    )
    if arguments.json:
        _print_json(
            {
                "run_id": result.run_id,
                "value": encode(result.value).json,
                "hits": result.hits,
                "live": result.live,
                "divergences": result.divergences,
            }
        )
        return
    _print(_render().replay_view(run_id, result))


def export_runs(client: Client, arguments: argparse.Namespace) -> None:
    from backtrail._reading.exchange import created, export_runs

    asked = [_find_run(client, run) for run in arguments.run]
    run_ids = asked or _newest(client, arguments.status, arguments.limit)
    with created(arguments.output) as target:
        count = export_runs(client, run_ids, target, arguments.format)
    _say(f"{count} runs written" + (f" to {arguments.output}" if arguments.output else ""))


def _newest(client: Client, status: RunStatus | None, limit: int) -> Iterator[str]:
    cursor = None
    while limit > 0:
        page = client.runs(status=status, limit=min(limit, NEWEST), cursor=cursor)
        yield from (run.run_id for run in page.runs)
        cursor, limit = page.next_cursor, limit - len(page.runs)
        if cursor is None:
            return


def import_files(client: Client, arguments: argparse.Namespace) -> None:
    from backtrail._reading.exchange import Imported, import_file

    imported = Imported()
    try:
        for name in arguments.file:
            import_file(client, name, imported)
    except ValueError as error:
        raise Refused(f"{error}; before that, {imported} imported") from error
    _say(f"{imported} imported")
    if refused := imported.rejected.total():
        raise BacktrailError(f"{refused} more were rejected: {'; '.join(imported.reasons)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="backtrail",
        description="See what your agents did, and go back to any step.",
        epilog="The server is --endpoint or $BACKTRAIL_ENDPOINT; its key, if it asks for one, is $BACKTRAIL_API_KEY.",
    )
    of_server = argparse.ArgumentParser(add_help=False)
    of_server.add_argument("--endpoint", help="the server; default: $BACKTRAIL_ENDPOINT, else http://127.0.0.1:4318")
    shared = argparse.ArgumentParser(add_help=False, parents=[of_server])
    shared.add_argument("--json", action="store_true", help="print what the API answers, for programs")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str,
        command: Callable[[Client, argparse.Namespace], None],
        help: str,
        *,
        like: argparse.ArgumentParser = shared,
    ) -> argparse.ArgumentParser:
        subparser = commands.add_parser(name, parents=[like], help=help, description=help)
        subparser.set_defaults(command=command)
        return subparser

    runs = add("runs", show_runs, "list runs, newest first")
    runs.add_argument("--status", choices=get_args(RunStatus), help="only runs of this status")
    runs.add_argument("--limit", type=int, default=20, help="most runs to list (default: %(default)s)")

    show = add("show", show_run, "show a run as a tree, with times, tokens and cost")
    show.add_argument("--messages", action="store_true", help="the conversation: what its models were told and said")
    show.add_argument("-v", "--verbose", action="store_true", help="each log record with what it says")
    state = add("state", show_state, "show what a run knew at a point")
    models = add("models", show_models, "list the models that were used, what they cost, and which wait for a price")
    for side, help_ in (("start", "only calls begun at or after this time"), ("end", "only calls begun before")):
        models.add_argument(f"--{side}", metavar="TIME", help=f"{help_}: 2026-01-31T12:00:00Z, or unix time")
    replay = add("replay", replay_run, "run it again from where it broke; finished steps answer from the record")
    for subparser in (show, state, replay):
        subparser.add_argument("run", metavar="RUN", help="run id, or its first digits")

    state.add_argument("--at", default="end", help=f"{POINTS} (default: %(default)s)")
    state.add_argument(
        "--view",
        choices=get_args(StateView),
        default="actual",
        help="actual: what memory held; effective: what a resume rebuilds (default: %(default)s)",
    )
    _add_wishes(replay)

    export = add("export", export_runs, "write runs into a file of OTLP requests", like=of_server)
    export.add_argument("run", metavar="RUN", nargs="*", help="run ids, or their first digits (default: the newest)")
    export.add_argument("-o", "--output", metavar="FILE", help="where to (default: standard output)")
    export.add_argument(
        "--format",
        choices=get_args(OtlpForm),
        default="json",
        help="a line of JSON for each request, or protobuf with lengths, without log records (default: %(default)s)",
    )
    export.add_argument("--status", choices=get_args(RunStatus), help="of the newest, only those of this status")
    export.add_argument("--limit", type=int, default=20, help="most of the newest to write (default: %(default)s)")
    import_ = add("import", import_files, "send the runs of files like these to the server", like=of_server)
    import_.add_argument(
        "file", metavar="FILE", nargs="+", help="what `backtrail export` or a Collector wrote; - is input"
    )
    return parser


def _add_wishes(replay: argparse.ArgumentParser) -> None:
    """What `Client.replay` takes, by the names it has there."""
    replay.add_argument("--app", required=True, metavar="MODULE:FUNCTION", help="the function decorated with @run")
    replay.add_argument("--at", default="failure", help=f"{POINTS} (default: %(default)s)")
    replay.add_argument(
        "--code-change",
        choices=("warn", "rerun", "raise"),
        default="warn",
        help="a step's code is not as recorded: use its result, run it again, or stop (default: %(default)s)",
    )
    replay.add_argument(
        "--on-input-change",
        choices=("live", "reuse", "raise"),
        default="live",
        help="a step is called with another input: run it, use its result, or stop (default: %(default)s)",
    )
    replay.add_argument(
        "--on-undecodable",
        choices=("raise", "live"),
        default="raise",
        help="a result cannot be given back: stop, or run the step again (default: %(default)s)",
    )
    replay.add_argument(
        "--allow-unsafe",
        action="append",
        default=[],
        metavar="STEP",
        help="run this step again though nobody knows whether it took effect; may be repeated",
    )
    replay.add_argument("--force", action="store_true", help="replay a run that may still be running")


def _client(endpoint: str | None) -> Client:
    try:
        return Client(endpoint)
    except ValueError as error:
        raise Refused(str(error)) from error


def _find_run(client: Client, text: str) -> str:
    """The run whose id begins so, among the newest."""
    if len(text) == FULL_ID:
        return text
    begin = text.lower()
    found = [run.run_id for run in client.runs(limit=NEWEST).runs if run.run_id.startswith(begin)]
    if not found:
        raise Refused(f"no run begins with {text}; `backtrail runs` lists the newest")
    if len(found) > 1:
        raise Refused(f"{len(found)} runs begin with {text}: {', '.join(run_id[:12] for run_id in found[:5])}")
    return found[0]


def _load(app: str) -> Callable[..., Any]:
    """`module:function`, the module looked for in the current folder first."""
    module_name, colon, path = app.partition(":")
    if not module_name or not colon or not path:
        raise Refused(f"--app {app}: write MODULE:FUNCTION, for example support_bot:handle")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        raise Refused(f"--app {app}: there is no module {error.name} in {Path.cwd()}") from error
    for name in path.split("."):
        found = getattr(found, name, None)
    if not callable(found):
        raise Refused(f"--app {app}: {module_name} has no function {path}")
    return found  # type: ignore[no-any-return]


def _render(view: str = "render") -> ModuleType:
    try:
        return importlib.import_module(f"backtrail._reading.{view}")
    except ModuleNotFoundError as error:
        if error.name != "rich":
            raise
        raise Refused("tables and trees need rich: pip install 'backtrail[cli]' (or use --json)") from error


def _print(view: Any) -> None:
    from rich.console import Console

    Console(highlight=False).print(view)


def _print_json(answer: Any) -> None:
    sys.stdout.write(to_json(answer, indent=2, inf_nan_mode="strings").decode() + "\n")


def _say(text: str) -> None:
    """Beside what is written to standard output; instead of the line that told how far it was."""
    sys.stderr.write(f"{CLEAR_LINE if sys.stderr.isatty() else ''}{text}\n")


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"backtrail: {message}\n")
    return code

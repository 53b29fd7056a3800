"""What people see at a terminal of 80 columns, against a real server."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from backtrail import cli
from backtrail._reading import answers as _answers
from backtrail._reading import models as _models
from backtrail._reading import render as _render
from backtrail._reading.answers import Node, RunStatus
from tests.query_api.recorded import GAP_ID, RUN_ID

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def backtrail(recorded_server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("BACKTRAIL_ENDPOINT", recorded_server)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TZ", "UTC")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def test_runs_are_a_table_that_fits(backtrail: Run) -> None:
    code, out, _ = backtrail("runs")

    header, first, second = lines(out)
    assert code == 0
    assert header.split() == ["run", "status", "name", "started", "took", "steps", "tokens", "cost"]
    assert first.startswith("5b8efff7  ✗ failed  support")
    assert second.startswith("66666666  ✗ failed  support")
    assert max(map(len, out.splitlines())) <= 80


def test_a_run_is_shown_as_a_tree_and_ends_with_its_error(backtrail: Run) -> None:
    _, out, _ = backtrail("show", "5b8e")

    assert lines(out) == [
        "support  ✗ failed  5b8efff798038103d269b633813fc60c",
        "2026-09-21 14:13:20 · 1.0 s · 1 agent · 2 steps · 1 model call · cost $0.1500",
        "“my lamp is broken”",
        "",
        "                                                         took    tokens     cost",
        "✗ support                                               1.0 s  1.0M → 0  $0.1500",
        "└─ ✗ refunds  agent                                      1 ms  1.0M → 0  $0.1500",
        "   ├─ ✓ plan  gpt-4o-mini                                1 ms  1.0M → 0  $0.1500",
        "   └─ ✗ pay  tool  the bank does not answer              1 ms",
        "",
        "✗ TimeoutError: the bank does not answer",
    ]


@pytest.mark.parametrize(("columns", "spared"), [("60", {"tokens", "steps"}), ("50", {"tokens", "steps", "took"})])
def test_a_narrow_terminal_does_without_columns(
    backtrail: Run, monkeypatch: pytest.MonkeyPatch, columns: str, spared: set[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    _, out, _ = backtrail("runs")

    every = {"run", "status", "name", "started", "took", "steps", "tokens", "cost"}
    assert set(lines(out)[0].split()) == every - spared
    assert max(map(len, out.splitlines())) <= int(columns)
    assert "5b8efff7  ✗ failed  support" in out


def test_a_name_takes_one_line_and_its_own_width(capsys: pytest.CaptureFixture[str]) -> None:
    node = Node(
        span_id="1",
        kind="step",
        name="a\nb\tc\x1b[31m\u202ed",
        status="failed",
        duration_ns=5_000_000,
        is_pending=False,
        is_orphan=True,
        error_message="no\x07\nmore",
        children=[],
    )

    Console(width=60, color_system=None).print(_render.tree_view(node))

    [_, row] = lines(capsys.readouterr().out)
    assert row.startswith("✗ a b c�[31m�d  parent missing  no�")
    assert row.endswith("5 ms")
    assert len(row) == 60 - len("  tokens  cost")


def told(name: str, kind: str = "span", *below: Node, why: str | None = None) -> Node:
    return Node(
        span_id=name,
        kind=kind,
        name=name,
        status="completed",
        duration_ns=1_000_000,
        is_pending=False,
        input_tokens=7,
        output_tokens=1,
        not_counted_because=why,
        children=list(below),
    )


def test_what_is_not_counted_is_marked_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    twice = told("chain", "span", told("client"), why="same_call_as")
    flow = told("flow", "span", twice, told("another"), why="sum_of_calls_below")
    tree = told("run", "run", told("planner", "agent", flow, why="sum_of_calls_below"))

    Console(width=60, color_system=None).print(_render.tree_view(tree))

    assert lines(capsys.readouterr().out)[1:] == [
        "✓ run                                     1 ms   7 → 1",
        "└─ ✓ planner  agent                       1 ms   7 → 1",
        "   └─ ✓ flow  Σ                           1 ms   7 → 1",
        "      ├─ ✓ chain  ≡                       1 ms   7 → 1",
        "      │  └─ ✓ client                      1 ms   7 → 1",
        "      └─ ✓ another                        1 ms   7 → 1",
        "≡ the same call, told by two instrumentations: counted once",
        "Σ the sum of what lies below: not counted again",
    ]


MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def run_of(**changes: Any) -> _answers.Run:
    root = Node(span_id="1", kind="run", name="r", status="completed", duration_ns=1, is_pending=False, children=[])
    run = _answers.Run(
        run_id="5b8efff798038103d269b633813fc60c",
        name="r",
        status="completed",
        start_time=MOMENT,
        end_time=MOMENT,
        start_time_unix_nano=0,
        duration_ns=1,
        span_count=1,
        agent_count=0,
        step_count=0,
        error_count=0,
        replayed_count=0,
        lost_count=0,
        llm_calls=0,
        agents=[],
        steps_total=0,
        tree=root,
    )
    return run.model_copy(update=changes)


def test_a_run_that_lost_spans_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    run = run_of(lost_count=12)

    console = Console(width=120, color_system=None)
    console.print(_render.run_view(run))
    console.print(_render.run_table([run], now=MOMENT))

    out = capsys.readouterr().out
    assert "! not whole: 12 spans could not be delivered" in out
    assert "! 12 spans lost" in out


def test_an_error_whose_words_were_not_recorded_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    run = run_of(status="failed", error_type="app.Refused", error_message="Refused")

    Console(width=120, color_system=None).print(_render.run_view(run))

    assert lines(capsys.readouterr().out)[-1] == "✗ app.Refused"


def test_a_value_of_which_only_the_size_was_to_be_recorded_is_not_called_too_long(
    capsys: pytest.CaptureFixture[str],
) -> None:
    withheld = {"$t": "truncated", "v": {"bytes": 1, "sha256": "…", "head": ""}}
    too_long = {"$t": "truncated", "v": {"bytes": 9_000_000, "sha256": "…", "head": "Dear"}}
    keys = [_answers.StateKey(scope="run", key=key) for key in ("quiet", "long")]
    state = _answers.State(
        run_id=RUN_ID,
        at="end",
        at_seq=1,
        view="actual",
        values={"run": {"quiet": withheld, "long": too_long}},
        truncated=keys,
    )

    Console(width=120, color_system=None).print(_render.state_view(state))

    assert lines(capsys.readouterr().out)[3:] == [
        "  quiet  <1 byte, not recorded>",
        "  long   <9000000 bytes, too long to record>",
        "! long was too long to record",
    ]


def test_names_are_seen_at_any_depth(capsys: pytest.CaptureFixture[str]) -> None:
    tree: list[Node] = []
    for depth in range(60, 0, -1):
        tree = [
            Node(
                span_id=f"{depth}",
                kind="step",
                name=f"level {depth}",
                status="completed",
                duration_ns=5_000_000,
                is_pending=False,
                children=tree,
            )
        ]

    Console(width=80, color_system=None).print(_render.tree_view(tree[0]))

    out = lines(capsys.readouterr().out)
    assert [line.strip(" │└─✓…").split("  ")[0] for line in out[1:]] == [f"level {depth}" for depth in range(1, 61)]


def test_a_steps_only_attempt_is_not_shown_and_what_is_in_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    def node(name: str, kind: str, *children: Node, status: RunStatus = "completed") -> Node:
        return Node(
            span_id=name,
            kind=kind,
            name=name,
            status=status,
            duration_ns=5_000_000,
            is_pending=False,
            error_message="down" if status == "failed" else None,
            children=list(children),
        )

    first = node("attempt 1", "attempt", node("inner", "step"), status="failed")
    tried = node("tried", "step", first, node("attempt 2", "attempt"))
    once = node("once", "step", node("attempt 1", "attempt", node("inner", "step")))
    Console(width=60, color_system=None).print(_render.tree_view(node("run", "run", tried, once)))

    shown = [line.split("  5 ms")[0].rstrip() for line in lines(capsys.readouterr().out)[1:]]
    assert [line.removesuffix("5 ms").rstrip() for line in shown] == [
        "✓ run",
        "├─ ✓ tried",
        "│  ├─ ✗ attempt 1  down",
        "│  │  └─ ✓ inner",
        "│  └─ ✓ attempt 2",
        "└─ ✓ once",
        "   └─ ✓ inner",
    ]


def test_state_is_shown_by_scope_with_what_is_left_out(backtrail: Run) -> None:
    _, out, _ = backtrail("state", "5b8e", "--view", "effective")

    assert lines(out) == [
        "state end  seq 8, effective",
        "",
        "run",
        "  budget  10",
        "  plan    ['search', 'pay']",
        "! without the writes of steps that never ended or run again: pay 22222222",
    ]


def test_state_that_other_processes_of_the_run_set_is_theirs() -> None:
    state = _answers.State(
        run_id=RUN_ID,
        at="end",
        at_seq=8,
        view="actual",
        values={"run": {"a": 1}, "run@304c53bc": {"b": 2}, f"{'5' * 32}@304c53bc": {"c": 3}},
    )
    console = Console(width=60)

    with console.capture() as captured:
        console.print(_render.state_view(state, {"5" * 32: "writer"}))

    titles = [line for line in lines(captured.get())[1:] if line and not line.startswith(" ")]
    assert titles == ["run", "run in process 304c53bc", "agent writer in process 304c53bc"]


def test_models_are_a_table_with_what_waits_for_a_price_marked(
    backtrail: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = backtrail("models")

    header, line = lines(out)
    assert code == 0
    assert header.split("  ")[0] == "model"
    assert line.startswith("gpt-4o-mini  openai")
    assert "1.0M → 0  $0.1500  $0.15 → $0.60  genai-prices" in line
    assert lines(backtrail("models", "--start", "2099-01-01T00:00:00Z")[1]) == ["No model was used."]

    unknown = _answers.Model(span_count=3, usage_count=2, waiting_count=2, last_time=datetime.now(UTC), provider="home")
    Console(width=100).print(_models.model_table([unknown]))
    assert lines(capsys.readouterr().out)[1].split("  ")[0] == "no name"


@pytest.mark.parametrize(
    ("command", "field"), [(["runs"], "runs"), (["show", RUN_ID], "tree"), (["state", RUN_ID], "values")]
)
def test_json_is_for_programs(backtrail: Run, command: list[str], field: str) -> None:
    _, out, _ = backtrail(*command, "--json")

    assert field in json.loads(out)


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["show", "77"], 2, "no run begins with 77; `backtrail runs` lists the newest"),
        (["show", "7" * 32], 1, "no run or trace 7777"),
        (["state", RUN_ID, "--at", "lunch"], 2, "at='lunch' is not a point of a run"),
        (["state", RUN_ID, "--at", "checkpoint:c9"], 1, "this run has no checkpoint c9"),
        (["state", GAP_ID], 1, "spans of this run are missing: number 2 of process c0ffee00"),
        (["replay", RUN_ID, "--app", "nowhere"], 2, "--app nowhere: write MODULE:FUNCTION"),
        (["replay", RUN_ID, "--app", "no_such_module:f"], 2, "there is no module no_such_module in"),
        (["replay", RUN_ID, "--app", "json:no_such"], 2, "json has no function no_such"),
        (["runs", "--endpoint", "localhost:9"], 2, "an endpoint is a URL such as http://127.0.0.1:4318"),
        (["runs", "--endpoint", "http://127.0.0.1:9"], 2, "no Backtrail server answers at http://127.0.0.1:9"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(backtrail: Run, command: list[str], code: int, words: str) -> None:
    got, out, err = backtrail(*command)

    assert (got, out) == (code, "")
    assert words in err
    assert err.startswith("backtrail: ")
    assert err.count("\n") == 1


def test_without_rich_the_command_names_the_extra_and_json_still_works(recorded_server: str, tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text("raise ModuleNotFoundError(\"No module named 'rich'\", name='rich')")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "backtrail", *arguments, "--endpoint", recorded_server]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(tmp_path), "PATH": ""}
        )

    for arguments in (["runs"], ["show", RUN_ID], ["state", RUN_ID]):
        refused = run(*arguments)
        assert refused.returncode == 2
        assert "pip install 'backtrail[cli]'" in refused.stderr
    assert json.loads(run("runs", "--json").stdout)["runs"]

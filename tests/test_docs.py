"""Documentation that cannot rot: what a page says is compared with what the code has."""

import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import backtrail
from backtrail import semconv
from backtrail._calls.specs import StepSpec
from backtrail_server.settings import Settings
from tests.serving import running_server

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("*/README.md")),
]
GUIDES = [ROOT / f"docs/{name}.md" for name in ("quickstart", "opentelemetry", "testing")]
SERVER_PACKAGES = [
    "ingest/backtrail_ingest",
    "store/backtrail_store",
    "query_api/backtrail_query",
    "server/backtrail_server",
]
PACKAGES = ["backtrail", "backtrail_store", "backtrail_ingest", "backtrail_query", "backtrail_server"]
CODE = ["tracer", "store", "ingest", "query_api", "server", "tests", "bench", "examples"]

ARGUMENT = re.compile(r"^\| `(\w+)` \| `(.*?)` \|", re.MULTILINE)


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_the_readme_names_every_setting_with_its_default_and_in_its_own_words() -> None:
    fields = Settings.model_fields.items()
    described = {f"BACKTRAIL_{name}".upper(): (str(field.default), field.description) for name, field in fields}
    rows = re.findall(r"^\| `(BACKTRAIL_\w+)` \| (?:`(.*?)`)?.* \| (.*) \|$", README, re.MULTILINE)

    assert {name: (default, sentence) for name, default, sentence in rows} == described


def test_every_folder_is_in_the_readmes_map_and_every_folder_of_the_map_exists() -> None:
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    folders = {path.split("/")[0] for path in tracked if "/" in path and not path.startswith(".")}

    assert set(re.findall(r"^\| \[`(\w+)/`\]", README, re.MULTILINE)) == folders


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_make_command_on_a_page_is_in_the_makefile(page: Path) -> None:
    targets = set(re.findall(r"^(\w+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = re.findall(r"(?:^ {4}|`)make ((?:\w+ ?)+)", page.read_text(), re.MULTILINE)

    assert {target for command in commands for target in command.split()} <= targets


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_path_named_on_a_page_exists(page: Path) -> None:
    names = re.findall(rf"`((?:{'|'.join(CODE)})/[\w/.-]+)`", page.read_text())

    assert [name for name in names if not (ROOT / name).exists()] == []


def test_every_module_of_the_sdk_has_its_room_in_the_map() -> None:
    page = (ROOT / "docs/architecture.md").read_text().split("## The rooms of the SDK")[1].split("\n## ")[0]
    rooms = re.findall(r"^### `(_\w+)/`.*?$(.*?)(?=^### |\Z)", page, re.MULTILINE | re.DOTALL)
    folders = [path.parent for path in (ROOT / "tracer/backtrail").glob("_*/__init__.py")]

    named = {room: sorted(re.findall(r"`([a-z]\w*)`", text)) for room, text in rooms}

    assert named == {folder.name: sorted(path.stem for path in folder.glob("[a-z]*.py")) for folder in folders}


def test_every_module_of_the_server_has_its_room_in_the_map() -> None:
    page = (ROOT / "docs/architecture.md").read_text().split("## The rooms of the server")[1].split("\n## ")[0]
    named: dict[str, list[str]] = {}
    for package, text in re.findall(r"^### `(\w+/\w+)/`.*?$(.*?)(?=^### |\Z)", page, re.MULTILINE | re.DOTALL):
        for room, modules in re.findall(r"^- \*\*(here|`\w+/`)\*\*(.*?)(?=^- |\Z)", text, re.MULTILINE | re.DOTALL):
            folder = package if room == "here" else f"{package}/{room.strip('`/')}"
            named[folder] = sorted(re.findall(r"`([a-z]\w*)`", modules))

    folders = [ROOT / package for package in SERVER_PACKAGES]
    folders += [path.parent for package in folders for path in package.glob("*/__init__.py")]
    there = {folder: sorted(path.stem for path in folder.glob("[a-z]*.py")) for folder in folders}
    assert named == {str(folder.relative_to(ROOT)): modules for folder, modules in there.items()}


def test_every_sql_file_opens_with_a_comment() -> None:
    assert [path.name for path in ROOT.glob("store/**/*.sql") if not path.read_text().startswith("--")] == []


def test_every_query_is_used() -> None:
    code = "\n".join(path.read_text() for path in ROOT.glob("store/backtrail_store/**/*.py"))

    queries = [path.stem for path in ROOT.glob("store/backtrail_store/queries/*.sql")]
    assert [query for query in queries if f'"{query}"' not in code] == []


@pytest.mark.parametrize(
    ("title", "function"), [("## Settings", backtrail.configure), ("`@step(…)`", StepSpec.__init__)]
)
def test_the_tracers_page_names_every_argument_with_its_default(title: str, function: Callable[..., object]) -> None:
    table = (ROOT / "tracer/README.md").read_text().split(title)[1].split("|---|---|---|\n")[1].split("\n\n")[0]
    said = {name: eval(default) for name, default in ARGUMENT.findall(table)}

    parameters = inspect.signature(function).parameters.values()
    assert said == {each.name: each.default for each in parameters if each.name != "self"}


def test_the_tracers_table_names_every_attribute_and_no_other() -> None:
    page = (ROOT / "tracer/README.md").read_text().split("## What is on a span")[1]
    table = set(re.findall(r"^\| `([\w.]+)`", page, re.MULTILINE))
    constants = {value for name, value in vars(semconv).items() if name.isupper()}

    assert table == constants


def test_the_tracers_example_runs() -> None:
    page = (ROOT / "tracer/README.md").read_text()
    program = page.split("```python\n")[1].split("```")[0]
    program += "import asyncio\nprint(asyncio.run(handle('Where is my order?')))\n"
    environment = {"PATH": "/usr/bin:/bin", "OTEL_SDK_DISABLED": "true"}
    output = subprocess.check_output([sys.executable, "-W", "error", "-c", program], env=environment, text=True)

    assert output == "It is shipped.\n"


def test_the_programs_on_the_page_about_contexts_run() -> None:
    page = (ROOT / "docs/contexts.md").read_text()
    program = "\n".join(block.split("```")[0] for block in page.split("```python\n")[1:])
    environment = {"PATH": "/usr/bin:/bin", "OTEL_SDK_DISABLED": "true"}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)

    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr


@pytest.mark.parametrize("page", GUIDES, ids=page_id)
def test_the_python_on_a_guide_runs_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    """What a line prints stands behind it: `# handle completed 2 steps`."""
    program = "".join(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL))
    with running_server(tmp_path / "data") as server:
        (working := tmp_path / "working").mkdir()
        environment = {"PATH": "/usr/bin:/bin", "OTEL_EXPORTER_OTLP_ENDPOINT": server.url}
        command = [sys.executable, "-W", "error", "-c", program]
        ran = subprocess.run(command, env=environment, cwd=working, capture_output=True, text=True, timeout=60)

    said = re.findall(r"^ *print\(.*\)  # (.*)$", program, re.MULTILINE)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(ran.stdout.splitlines()) == len(said)
    for line, words in zip(ran.stdout.splitlines(), said, strict=True):
        assert line.startswith(words.partition(" and ")[0]), line


def test_the_python_on_the_page_of_frameworks_is_that_of_the_examples() -> None:
    programs = [path.read_text() for path in ROOT.glob("examples/frameworks/*.py")]
    lines = {line.strip() for program in programs for line in program.splitlines()}
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/frameworks.md").read_text(), re.MULTILINE | re.DOTALL)

    assert [line for block in blocks for line in block.splitlines() if line.strip() not in lines] == []


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_can_be_imported(name: str) -> None:
    package = importlib.import_module(name)

    assert [public for public in getattr(package, "__all__", ()) if not hasattr(package, public)] == []


def test_the_sdks_public_names_are_sorted_and_complete() -> None:
    import backtrail

    imported = {name for name in vars(backtrail) if not name.startswith("_")}
    modules = {name for name in imported if sys.modules.get(f"backtrail.{name}") is not None}

    assert imported - modules - set(backtrail.__all__) == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_where_it_stands(package: str) -> None:
    folder = next(ROOT.glob(f"*/{package}"))

    assert [page_id(path) for path in folder.rglob("*.py") if not path.read_text().startswith('"""')] == []


def test_every_variable_in_deploy_is_a_setting() -> None:
    names = {name for path in ROOT.glob("deploy/*") for name in re.findall(r"\bBACKTRAIL_[A-Z_]+\b", path.read_text())}

    assert names <= {f"BACKTRAIL_{name}".upper() for name in Settings.model_fields}

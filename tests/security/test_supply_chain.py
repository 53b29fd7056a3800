"""What is installed and what is published: locked by hash, few, and nothing in a wheel but the package."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
LOCK: dict[str, Any] = tomllib.loads((ROOT / "uv.lock").read_text())
PACKAGES: dict[str, dict[str, Any]] = {package["name"]: package for package in LOCK["package"]}

# Whoever adds one of these makes every user of the SDK install it: a reason belongs into the commit.
SDK_NEEDS = {
    "annotated-types",
    "anyio",
    "certifi",
    "charset-normalizer",
    "googleapis-common-protos",
    "h11",
    "httpcore",
    "httpx",
    "idna",
    "opentelemetry-api",
    "opentelemetry-exporter-http-transport",
    "opentelemetry-exporter-otlp-common",
    "opentelemetry-exporter-otlp-proto-common",
    "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-proto",
    "opentelemetry-sdk",
    "opentelemetry-semantic-conventions",
    "protobuf",
    "pydantic",
    "pydantic-core",
    "requests",
    "typing-extensions",
    "typing-inspection",
    "urllib3",
}

DISTRIBUTIONS = {
    "backtrail": (ROOT / "tracer", ["tracer/backtrail"]),
    "backtrail_server": (
        ROOT,
        ["store/backtrail_store", "ingest/backtrail_ingest", "query_api/backtrail_query", "server/backtrail_server"],
    ),
}
ENTRY_POINTS = {
    "backtrail": "[console_scripts]\nbacktrail = backtrail.cli:main\n",
    "backtrail_server": "[console_scripts]\nbacktrail-server = backtrail_server.cli:main\n\n"
    "[backtrail.local]\nserver = backtrail_server.local:serve_in_thread\n",
}


def needed_by(name: str) -> set[str]:
    """What an installation without extras brings along, on any system."""
    needed: set[str] = set()
    waiting = [(name, "")]
    while waiting:
        package, extra = waiting.pop()
        found = PACKAGES[package]
        links = found.get("optional-dependencies", {}).get(extra, []) if extra else found.get("dependencies", [])
        for link in links:
            if link["name"] not in needed or link.get("extra"):
                needed.add(link["name"])
                waiting += [(link["name"], ""), *((link["name"], one) for one in link.get("extra", ()))]
    return needed


def test_t44_every_package_is_locked_by_its_hash_and_comes_from_the_index() -> None:
    ours = {name for name, package in PACKAGES.items() if "editable" in package["source"]}
    assert ours == {"backtrail", "backtrail-server"}
    for name in PACKAGES.keys() - ours:
        package = PACKAGES[name]
        assert package["source"] == {"registry": "https://pypi.org/simple"}, name
        files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else ())]
        assert files, name
        assert all(file["hash"].startswith("sha256:") for file in files), name


@pytest.mark.parametrize("file", ["Makefile", "deploy/Dockerfile"])
def test_t44_nothing_is_installed_past_the_lock(file: str) -> None:
    syncs = [line for line in (ROOT / file).read_text().splitlines() if "sync " in line and "uv" in line]

    assert syncs
    assert all("--locked" in line for line in syncs)


def test_t44_the_sdk_brings_these_packages_and_no_others() -> None:
    assert needed_by("backtrail") == SDK_NEEDS


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_t44_a_wheel_holds_the_package_and_nothing_else(name: str, tmp_path: Path) -> None:
    project, packages = DISTRIBUTIONS[name]
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=project, check=True, capture_output=True, timeout=60)
    [path] = tmp_path.glob("*.whl")
    info = f"{'-'.join(path.name.split('-')[:2])}.dist-info"

    with ZipFile(path) as wheel:
        held = set(wheel.namelist())
        entry_points = wheel.read(f"{info}/entry_points.txt").decode()
        licence = wheel.read(f"{info}/licenses/LICENSE")

    sources = {
        file.relative_to((ROOT / package).parent).as_posix()
        for package in packages
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    described = {f"{info}/{file}" for file in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}
    assert held == sources | described
    assert {Path(file).suffix for file in sources} <= {".py", ".sql", ".proto", ".toml", ".typed"}
    assert all(f"{Path(package).name}/py.typed" in held for package in packages)
    assert entry_points == ENTRY_POINTS[name]
    assert licence == (ROOT / "LICENSE").read_bytes()


def test_t44_what_runs_before_a_change_is_taken_is_a_script_that_stops_at_the_first_fault() -> None:
    script = ROOT / ".ci" / "run"

    assert "set -euo pipefail" in script.read_text()
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert not (ROOT / ".github").exists(), "workflows have come: lint them here"

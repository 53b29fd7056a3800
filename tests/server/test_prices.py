"""Prices of one's own: at the command line, over the API, and from a file, through the real server."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from backtrail import semconv
from backtrail_server.errors import CannotStart
from backtrail_server.price_file import read_price_file, read_prices
from tests.factories import TRACE_ID, Value, otlp_request, plain_span
from tests.serving import RunningServer, running_server, serve_command

MILLION = 1_000_000
PROTOBUF = {"content-type": "application/x-protobuf"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "backtrail_server", *arguments]
    return subprocess.run(command, text=True, timeout=60, capture_output=True, check=False)


def done(*arguments: str) -> str:
    finished = run(*arguments)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def refused(*arguments: str) -> str:
    finished = run(*arguments)
    assert (finished.returncode, finished.stdout) == (2, "")
    return finished.stderr.splitlines()[-1]


def send(server: RunningServer, model: str) -> None:
    attributes: dict[str, Value] = {
        semconv.GEN_AI_PROVIDER_NAME: "home",
        semconv.GEN_AI_REQUEST_MODEL: model,
        semconv.GEN_AI_USAGE_INPUT_TOKENS: MILLION,
        semconv.GEN_AI_USAGE_OUTPUT_TOKENS: 0,
    }
    body = otlp_request(plain_span(attributes=attributes)).SerializeToString()
    httpx.post(f"{server.url}/v1/traces", content=body, headers=PROTOBUF).raise_for_status()


def cost(server: RunningServer) -> float | None:
    answer = httpx.get(f"{server.url}/api/v1/traces/{TRACE_ID.hex()}")
    found: float | None = answer.json()["spans"][0]["cost_usd"] if answer.is_success else -1
    return found


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.05)


def test_prices_are_set_listed_and_removed_at_the_command_line(tmp_path: Path) -> None:
    at = ("--data", str(tmp_path))
    with running_server(tmp_path) as server:
        send(server, "lama-7")
        until(lambda: cost(server) is None)
        assert done("prices", "list", *at) == "nobody has set a price: those of genai-prices count\n"

        said = done("prices", "set", "lama-*", "--input", "1.5", "--output", "3", "--reasoning", "0.000000000001", *at)
        assert said == "lama-*  all projects: input $1.50, output $3.00, reasoning $0.000000000001\n"
        assert cost(server) == 1.5

        done("prices", "set", "lama-7", "--input", "2", "--output", "3", "--provider", "home", "--project", "default",
             "--valid-from", "2020-01-01", "--tier", "999:input=4,cache-read=1", "--request", "0.5", *at)  # fmt: skip
        assert cost(server) == 4.5
        assert done("prices", "list", *at).splitlines()[1] == (
            "lama-7 of home  project default from 2020-01-01: input $2.00, output $3.00, request $0.50; "
            "above 999 tokens input $4.00, cache read $1.00"
        )

        removed = done("prices", "remove", "lama-7", "--provider", "home", "--project", "default", *at)
        assert removed.startswith("removed: lama-7 of home  project default from 2020-01-01: ")
        assert cost(server) == 1.5
    assert done("prices", "list", *at).startswith("lama-*  all projects")  # without a server, too


def test_a_pattern_prices_what_comes_after_it_within_seconds(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        done("prices", "set", "lama-*", "--input", "1.5", "--output", "3", "--data", str(tmp_path))
        send(server, "lama-8")

        until(lambda: cost(server) == 1.5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("set", "x", "--input", "1"), "the following arguments are required: --output"),
        (("set", "x", "--input", "cheap", "--output", "1"), "'cheap' is no amount"),
        (("set", "x", "--input", "1", "--output", "1", "--tier", "much:input=1"), "'much:input=1' is no tier"),
        (("set", "x", "--input", "1", "--output", "1", "--project", "none"), "there is no project 'none'"),
        (("set", "x", "--input", "9999999", "--output", "1"), "should be less than or equal to 1000000"),
        (("remove", "x"), "nobody has given a price of 'x' for all projects"),
        (("import", "nowhere.yaml"), "the prices in nowhere.yaml cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_a_price_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in refused("prices", *arguments, "--data", str(tmp_path))


FILE = """\
prices:
  - model: lama-*
    provider: home
    input: 0.1
    output: 1e1
    tiers:
      - {above: 2_000_000, input: 0.3}
  - {model: gpt-4o*, project: default, valid_from: 2026-01-01, input: 2, output: 8, request: .25}
"""


def test_a_file_is_imported_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(FILE)

    said = done("prices", "import", str(file), "--data", str(tmp_path / "data")).splitlines()

    assert said == [
        "lama-* of home  all projects: input $0.10, output $10.00; above 2,000,000 tokens input $0.30",
        "gpt-4o*  project default from 2026-01-01: input $2.00, output $8.00, request $0.25",
    ]


def test_a_file_is_read_at_the_start_and_whenever_it_changes(tmp_path: Path) -> None:
    file, data = tmp_path / "prices.yaml", tmp_path / "data"
    file.write_text(FILE)
    at = ("--data", str(data))
    with running_server(data, "--prices", str(file)) as server:
        send(server, "lama-9")
        until(lambda: cost(server) == 0.1)

        file.write_text(FILE.replace("0.1", "0.2"))
        until(lambda: cost(server) == 0.2)

        file.write_text(FILE.replace("0.1", "cheap"))
        until(lambda: f"{file}, line 4: input: " in server.logged())
        assert cost(server) == 0.2
        listed = done("prices", "list", *at)
        assert listed.splitlines()[0].endswith("input $0.30  (from the file)")
        for action in (("remove", "lama-*"), ("set", "lama-*", "--input", "1", "--output", "1")):
            assert "change it there" in refused("prices", *action, "--provider", "home", *at)
    with running_server(data) as server:  # without the file, none of its prices
        assert done("prices", "list", *at).startswith("nobody has set a price")
        assert cost(server) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("prices: [", "line 1: this is no YAML: "),
        ("- a", "line 1: names and values are wanted; write prices: [{model: gpt-4o*, input: 2.5, output: 10}]"),
        ("price: []", "line 1: price is not known here; write prices: "),
        ("prices: 5", "line 1: prices: a list is wanted; write prices: "),
        ("prices:\n- 5", "line 2: names and values are wanted; "),
        ("prices:\n- {model: a, output: 1}", "line 2: input: Field required"),
        (
            "prices:\n- model: a\n  input: 1\n  output: cheap",
            "line 4: output: Input should be a valid decimal, not cheap",
        ),
        ("prices:\n- model: a\n  input: .nan\n  output: 1", "line 3: input: Input should be a valid decimal, not .nan"),
        (
            "prices:\n- model: a\n  input: -1\n  output: 1",
            "line 3: input: Input should be greater than or equal to 0, not -1",
        ),
        (
            "prices:\n- model: a\n  input: 1\n  output: 1\n  cached: 1",
            "line 5: cached: Extra inputs are not permitted, not 1",
        ),
        ("prices:\n- model: a\n  input: 1\n  input: 2\n  output: 1", "line 4: input stands here twice"),
        (
            "prices:\n- model: a\n  input: 1\n  output: 1\n  valid_from: soon",
            "line 5: valid_from: Input should be a valid date",
        ),
        (
            "prices:\n- model: a\n  input: 1\n  output: 1\n  tiers:\n  - input: 3",
            "line 6: tiers.0.above: Field required",
        ),
        (
            "prices:\n- model: a\n  input: 1\n  output: 1\n  tiers: [{above: 5}, {above: 5}]",
            "line 5: tiers: two tiers begin above the same number of tokens",
        ),
        (
            "prices:\n- {model: a, input: 1, output: 1}\n- {model: a, input: 2, output: 1}",
            "line 3: model: 'a' of the same provider, project and day is in line 2 too",
        ),
        (
            "prices:\n- {model: !evil a, input: 1, output: 1}",
            "line 2: this is no YAML: could not determine a constructor",
        ),
    ],
)
def test_a_file_that_cannot_be_read_says_where(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(text)

    with pytest.raises(CannotStart) as refusal:
        read_price_file(file)

    assert str(refusal.value).startswith(f"{file}, {sentence}")
    assert "\n" not in str(refusal.value)


def test_an_empty_file_has_no_prices(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# none yet\n")
    (tmp_path / "latin.yaml").write_bytes(b"prices: \xff")

    assert read_prices(tmp_path / "empty.yaml") == []
    with pytest.raises(CannotStart, match=r"latin\.yaml cannot be read: it is not UTF-8 at byte 8"):
        read_prices(tmp_path / "latin.yaml")


@pytest.mark.parametrize("given", ["flag", "variable"])
def test_a_server_with_a_bad_file_refuses_to_start(tmp_path: Path, given: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text("prices:\n- model: a\n  input: one\n  output: 1\n")
    flags, variables = (("--prices", str(file)), {}) if given == "flag" else ((), {"BACKTRAIL_PRICES": str(file)})

    finished = subprocess.run(
        serve_command(tmp_path / "data", *flags), env=os.environ | variables, text=True, timeout=60, capture_output=True
    )

    assert finished.returncode == 2
    assert finished.stderr == f"backtrail-server: {file}, line 3: input: Input should be a valid decimal, not one\n"
    assert not (tmp_path / "data").exists()


# --- over the API -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., httpx.Response]]:
    """Asks as the admin of project shop, of bank, or of the server."""
    data = tmp_path_factory.mktemp("keyed")
    keys = {"server": done_with_key(data, "--server")}
    for project in ("shop", "bank"):
        done("projects", "create", project, "--data", str(data))
        keys[project] = done_with_key(data, "--project", project, "--scope", "admin")
    with running_server(data) as server:

        def ask(who: str, method: str, **request: Any) -> httpx.Response:
            headers = {"Authorization": f"Bearer {keys[who]}"}
            return httpx.request(method, f"{server.url}/api/v1/prices", headers=headers, **request)

        yield ask


def done_with_key(data: Path, *arguments: str) -> str:
    return run("keys", "create", *arguments, "--name", "test", "--data", str(data)).stdout.strip()


def price(model: str, **more: object) -> dict[str, object]:
    return {"prices": [{"model": model, "input": 0.1, "output": 2, **more}]}


def test_a_projects_admin_sets_its_prices_and_sees_everybodys(api: Callable[..., httpx.Response]) -> None:
    [own] = api("shop", "PUT", json=price("own-*", valid_from="2026-01-01")).json()["prices"]
    [all_] = api("server", "PUT", json=price("all-*")).json()["prices"]
    [banks] = api("server", "PUT", json=price("banks", project="bank")).json()["prices"]

    assert (own["project"], all_["project"], banks["project"]) == ("shop", None, "bank")
    assert (own["input"], own["valid_from"], own["origin"]) == (0.1, "2026-01-01", "set")
    assert api("shop", "GET").json()["prices"] == [all_, own]
    assert api("bank", "GET").json()["prices"] == [all_, banks]
    assert api("server", "GET").json()["prices"] == [all_, banks, own]
    assert api("server", "GET", params={"project": "shop"}).json()["prices"] == [all_, own]

    assert api("shop", "DELETE", params={"model": "all-*"}).status_code == 404
    assert api("shop", "DELETE", params={"model": "own-*", "valid_from": "2026-01-02"}).status_code == 404
    assert api("shop", "DELETE", params={"model": "own-*", "valid_from": "2026-01-01"}).json()["prices"] == [own]
    assert api("shop", "GET").json()["prices"] == [all_]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_projects_prices_are_answered_as_those_of_one_that_nobody_made(
    api: Callable[..., httpx.Response], method: str
) -> None:
    def answer(project: str) -> tuple[int, str]:
        request = (
            {"json": price("x", project=project)} if method == "PUT" else {"params": {"project": project, "model": "x"}}
        )
        found = api("shop", method, **request)
        return found.status_code, found.json()["detail"]

    assert answer("bank") == (404, "there is no project 'bank'")
    assert answer("none") == (404, "there is no project 'none'")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"input": "cheap"}, "body.prices.0.input: Input should be a valid decimal"),
        ({"input": -1}, "body.prices.0.input: Input should be greater than or equal to 0"),
        ({"input": 1e-13}, "body.prices.0.input: Decimal input should have no more than 12 decimal places"),
        ({"cached": 1}, "body.prices.0.cached: Extra inputs are not permitted"),
        ({"valid_from": "1969-12-31"}, "body.prices.0.valid_from: Input should be greater than or equal to 1970-01-01"),
        ({"model": ""}, "body.prices.0.model: String should have at least 1 character"),
        ({"model": "a\nb"}, "body.prices.0.model: Value error, 'a\\nb' has characters"),
        ({"tiers": [{"above": -1}]}, "body.prices.0.tiers.0.above: Input should be greater than or equal to 0"),
    ],
)
def test_what_is_no_price_is_refused_with_what_was_seen(
    api: Callable[..., httpx.Response], change: dict[str, object], sentence: str
) -> None:
    answer = api("shop", "PUT", json=price("x") | {"prices": [price("x")["prices"][0] | change]})  # type: ignore[index]

    assert answer.status_code == 422
    assert sentence in answer.json()["detail"]
    assert api("shop", "PUT", json={"prices": []}).status_code == 422

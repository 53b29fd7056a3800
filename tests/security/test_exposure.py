"""T32 and T33: who can reach a server without a key, and what a web page can do with one that its visitor can reach."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from backtrail_server.auth.browsers import is_loopback
from backtrail_server.cli import main
from tests.factories import otlp_request, plain_span
from tests.security.conftest import PROTOBUF, KeyedServer
from tests.server.test_serving import run_and_fail
from tests.serving import RunningServer, running_server, serve_command

ROOT = Path(__file__).parents[2]
KEY = "bt_" + "5a" * 32
BODY = otlp_request(plain_span()).SerializeToString()

# --- T32: addresses -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keyless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("keyless")) as server:
        yield server


def test_t32_on_loopback_without_keys_it_serves_and_says_so_once(keyless: RunningServer) -> None:
    assert httpx.get(f"{keyless.url}/api/v1/runs").status_code == 200
    assert httpx.post(f"{keyless.url}/v1/traces", content=BODY, headers=PROTOBUF).status_code == 200
    assert httpx.get(f"{keyless.url}/metrics").status_code == 200
    assert keyless.ready_line.count("without keys: open to every user of this computer") == 1
    assert keyless.logged() == ""


def test_t32_on_another_address_without_keys_it_refuses_and_says_how(tmp_path: Path) -> None:
    complaint = run_and_fail(serve_command(tmp_path, "--host", "0.0.0.0"))

    assert "0.0.0.0 is an address that others may reach, and there is no key" in complaint
    assert "backtrail-server keys create" in complaint
    assert "BACKTRAIL_KEY" in complaint


def test_t32_with_a_key_of_the_setting_it_serves_every_address_and_asks_for_it(tmp_path: Path) -> None:
    with running_server(tmp_path, "--host", "0.0.0.0", env={**os.environ, "BACKTRAIL_KEY": KEY}) as server:
        assert server.ready_line.count("(OTLP), with keys; data in") == 1
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        headers = {"authorization": f"Bearer {KEY}"}
        assert httpx.get(f"{url}/api/v1/runs").status_code == 401
        assert httpx.get(f"{url}/api/v1/runs", headers=headers).status_code == 200
        assert httpx.post(f"{url}/v1/traces", content=BODY, headers=headers | PROTOBUF).status_code == 200
        listed = httpx.get(f"{url}/api/v1/projects/default/keys", headers=headers).json()["keys"]
        assert [key["prefix"] for key in listed] == [KEY[:11]]
        assert httpx.get(f"{url}/metrics", headers=headers).status_code == 403
        revoking = httpx.delete(f"{url}/api/v1/projects/default/keys/BACKTRAIL_KEY", headers=headers)
        assert (revoking.status_code, "change BACKTRAIL_KEY" in revoking.text) == (409, True)
        assert httpx.get(f"{url}/api/v1/runs", headers=headers | {"host": "any.name.example"}).status_code == 200
    assert [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()] == []


HERE = ("127.0.0.1", "127.1.2.3", "localhost", "::1")
ELSEWHERE = ("0.0.0.0", "::", "192.168.0.1", "fe80::1", "example.com", "localhost.example.com", "")


@pytest.mark.parametrize("host", [*HERE, *ELSEWHERE])
def test_t32_which_addresses_are_this_computers_own(host: str) -> None:
    assert is_loopback(host) is (host in HERE)


@pytest.mark.parametrize("key", ["secret", KEY[:-1], KEY.upper()])
def test_t32_a_key_that_could_be_guessed_is_refused_without_being_shown(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BACKTRAIL_KEY", key)

    assert main(["serve", "--data", str(tmp_path)]) == 2

    complaint = capsys.readouterr().err
    assert "BACKTRAIL_KEY: Value error, a key is bt_ and 64 hexadecimal digits" in complaint
    assert key not in complaint


def test_t32_neither_compose_nor_the_container_starts_without_a_key() -> None:
    compose = (ROOT / "deploy/compose.yaml").read_text()
    dockerfile = (ROOT / "deploy/Dockerfile").read_text()

    assert re.search(r'^ {6}BACKTRAIL_KEY: "\$\{BACKTRAIL_KEY:\?[^}"]+\}"$', compose, re.MULTILINE)
    assert "BACKTRAIL_HOST=0.0.0.0" in dockerfile  # which without a key is refused, see above
    assert not re.search(r"BACKTRAIL_KEY=\S", dockerfile)


# --- T33: browsers ------------------------------------------------------------------------------------------


def ask(server: RunningServer, method: str, path: str, headers: dict[str, str], **request: Any) -> int:
    return httpx.request(method, f"{server.url}{path}", headers=headers, **request).status_code


NAMES_OF_OTHERS = ("evil.example", "evil.example:4318", "127.0.0.1.evil.example", "localhost.evil.example")
ADDRESSES_OF_OTHERS = ("[::2]", "0.0.0.0", "192.168.0.1", "2130706433", "[", "[::1")


@pytest.mark.parametrize("host", [*NAMES_OF_OTHERS, *ADDRESSES_OF_OTHERS])
def test_t33_a_name_that_was_made_to_point_here_is_refused(keyless: RunningServer, host: str) -> None:
    for method, path in (("GET", "/api/v1/runs"), ("POST", "/v1/traces"), ("GET", "/healthz"), ("GET", "/nothing")):
        assert ask(keyless, method, path, {"host": host}) in (400, 403)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.8.9.1:4318", "[::1]:4318", "localhost."]
)
def test_t33_the_computers_own_names_are_answered(keyless: RunningServer, host: str) -> None:
    assert ask(keyless, "GET", "/api/v1/runs", {"host": host}) == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000", "http://127.0.0.1", ""])
def test_t33_pages_of_other_origins_are_refused(keyless: RunningServer, origin: str) -> None:
    headers = {"origin": origin}
    assert ask(keyless, "GET", "/api/v1/runs", headers) == 403
    assert ask(keyless, "POST", "/v1/traces", headers | PROTOBUF, content=BODY) == 403
    assert ask(keyless, "POST", "/api/v1/projects", headers, json={"name": "evil"}) == 403
    preflight = headers | {"access-control-request-method": "POST"}
    assert ask(keyless, "OPTIONS", "/v1/traces", preflight) == 403


def test_t33_no_answer_lets_a_page_of_another_origin_read_it(keyless: RunningServer) -> None:
    for path in ("/api/v1/runs", "/healthz", "/openapi.json"):
        answer = httpx.get(f"{keyless.url}{path}", headers={"origin": "https://evil.example"})
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_t33_the_servers_own_pages_may_ask(keyless: RunningServer) -> None:
    assert ask(keyless, "GET", "/api/v1/runs", {"origin": keyless.url}) == 200


UNASKED = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "TEXT/PLAIN;a=b")
CHANGES = ("/v1/traces", "/v1/logs", "/api/v1/projects", f"/api/v1/runs/{'1' * 32}/replay-bundle")


@pytest.mark.parametrize("content_type", [*UNASKED, ""])
@pytest.mark.parametrize("path", CHANGES)
def test_t33_what_a_page_may_send_without_asking_is_no_content_type_here(
    keyless: RunningServer, path: str, content_type: str
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    assert ask(keyless, "POST", path, headers, content=b'{"name": "evil"}') == 415


def test_t33_the_same_holds_with_keys(keyed: KeyedServer) -> None:
    assert keyed.request("read", "GET", "/api/v1/runs", headers={"origin": "https://evil.example"}).status_code == 403
    assert keyed.request("read", "GET", "/api/v1/runs", headers={"host": "evil.example"}).status_code == 403
    sent = keyed.request(
        "server", "POST", "/api/v1/projects", content=b'{"name": "x"}', headers={"content-type": "text/plain"}
    )
    assert sent.status_code == 415


def test_t33_settings_say_which_names_and_origins_are_welcome(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "BACKTRAIL_ALLOWED_HOSTS": "traces.example.com, backtrail",
        "BACKTRAIL_CORS_ORIGINS": "https://app.example.com",
    }
    with running_server(tmp_path, env=environment) as server:
        for host, status in (("traces.example.com", 200), ("Backtrail:4318", 200), ("localhost", 200), ("other", 403)):
            assert ask(server, "GET", "/api/v1/runs", {"host": host}) == status
        assert ask(server, "POST", "/v1/traces", PROTOBUF | {"origin": "https://app.example.com"}, content=BODY) == 200
        assert ask(server, "GET", "/api/v1/runs", {"origin": "https://app.example.com.evil.example"}) == 403
        assert ask(server, "GET", "/api/v1/runs", {"origin": "null"}) == 403


def test_t33_the_control_socket_is_no_way_in_from_the_network(keyed: KeyedServer, tmp_path: Path) -> None:
    for name in ("is_operator", "x-is-operator", "state"):
        assert keyed.http.get("/api/v1/keys", headers={name: "true"}, params={name: "true"}).status_code == 401

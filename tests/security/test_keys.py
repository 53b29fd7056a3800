"""T31: keys, from their making to their end."""

import re
import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import httpx
import pytest

from backtrail_server.auth.keyring import KeyRing
from backtrail_server.auth.refusals import MissingKey, WrongKey
from backtrail_server.cli import main
from backtrail_store import DEFAULT_PROJECT, Store, StoreUnavailable, open_store
from backtrail_store.address import parse_address
from tests.clickhouse_http import clickhouse_listening
from tests.factories import otlp_request, plain_span
from tests.security.conftest import PROTOBUF, KeyedServer
from tests.security.operator import Operator
from tests.serving import running_server
from tests.waiting import until

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def status_with(keyed: KeyedServer, headers: dict[str, str], path: str = "/api/v1/runs", **request: Any) -> int:
    return keyed.http.get(path, headers=headers, **request).status_code


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


# --- Made ---------------------------------------------------------------------------------------------------


def test_t31_a_key_is_256_random_bits_and_the_store_has_its_hash_only(store_dsn: str) -> None:
    with open_store(store_dsn) as store:
        store.migrate()
        keyring = KeyRing(store)
        made = [keyring.create("shop", name="x", scopes=["read"], expires_unix_milli=None) for _ in range(50)]
        rows = store.keys.list()

    secrets = [secret for _, secret in made]
    assert all(re.fullmatch(r"bt_[0-9a-f]{64}", secret) for secret in secrets)
    bits = "".join(f"{int(secret[3:], 16):0256b}" for secret in secrets)
    assert len(set(secrets)) == 50
    assert 0.45 < bits.count("1") / len(bits) < 0.55
    assert {row.sha256 for row in rows} == {sha256(secret.encode()).hexdigest() for secret in secrets}
    assert {row.prefix for row in rows} == {secret[:11] for secret in secrets}
    assert not [secret for secret in secrets if secret in repr(rows) or secret[11:] in repr(rows)]


def test_t31_a_secret_is_nowhere_but_in_the_answer_to_its_making(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server, Operator(tmp_path / "data") as operator:
        made = operator.ask("POST", "/api/v1/projects/default/keys", {"name": "ci", "scopes": ["ingest", "read"]})
        key = made["key"]
        headers = {"authorization": f"Bearer {key}"}
        assert httpx.get(f"{server.url}/api/v1/runs", headers=headers).status_code == 200
        assert httpx.get(f"{server.url}/api/v1/runs?key={key}").status_code == 400
        assert httpx.get(f"{server.url}/api/v1/runs/{key}", headers=headers).status_code == 400
        assert httpx.post(f"{server.url}/v1/traces", content=b"\xff", headers=headers | PROTOBUF).status_code == 400
        told = [operator.ask("GET", "/api/v1/keys"), operator.ask("GET", "/api/v1/projects/default/keys")]
        operator.revoke(key)
        log = server.logged()

    assert key[11:] not in str(told)
    assert key[11:] not in log
    assert f"({made['prefix']}…, 'ci') of project default created for ingest and read, by the operator" in log
    secret = key[3:].encode()
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [path for path in files if secret in path.read_bytes() or bytes.fromhex(key[3:]) in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("new", "complaint"),
    [
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["write"]}, "'ingest', 'read' or 'admin'"),
        ({"name": "", "scopes": ["read"]}, "name"),
        ({"name": "two\nlines", "scopes": ["read"]}, "can be shown"),
        ({"name": "\x9b2Jgone", "scopes": ["read"]}, "can be shown"),
        ({"name": "right \u202e left", "scopes": ["read"]}, "can be shown"),
        ({"name": "x", "scopes": ["read"], "expires_time": "2020-01-01T00:00:00Z"}, "before it is made"),
        ({"name": "x", "scopes": ["read"], "expires_time": "2099-01-01T00:00:00"}, "timezone"),
    ],
)
def test_t31_a_key_that_makes_no_sense_is_not_made(keyed: KeyedServer, new: dict[str, Any], complaint: str) -> None:
    answer = keyed.request("admin", "POST", "/api/v1/projects/shop/keys", json=new)

    assert answer.status_code == 422
    assert complaint in answer.json()["detail"]


@pytest.mark.parametrize("name", ["", "../shop", "a b", "x" * 64, "-shop", "shöp", "shop\n"])
def test_t31_a_project_has_a_name_that_needs_no_quoting(keyed: KeyedServer, name: str) -> None:
    assert keyed.request("server", "POST", "/api/v1/projects", json={"name": name}).status_code == 422


def test_t31_a_projects_admin_makes_and_revokes_its_keys_and_the_log_says_who(keyed: KeyedServer) -> None:
    made = keyed.request("admin", "POST", "/api/v1/projects/shop/keys", json={"name": "ci", "scopes": ["read"]})
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    key = made.json()
    assert status_with(keyed, {"authorization": f"Bearer {key['key']}"}) == 200

    listed = keyed.request("admin", "GET", "/api/v1/projects/shop/keys").json()["keys"]
    assert [(each["name"], each["state"]) for each in listed if each["id"] == key["id"]] == [("ci", "good")]

    revoked = keyed.request("admin", "DELETE", f"/api/v1/projects/shop/keys/{key['id']}").json()
    assert (revoked["state"], revoked["revoked_time"] is None) == ("revoked", False)
    admin = keyed.keys["admin"]
    assert f"key {key['id']} ({key['prefix']}…, 'ci') revoked, by key {keyed.operator.key_id(admin)}" in (
        keyed.server.logged()
    )


def test_t31_a_key_of_another_project_cannot_be_revoked_by_its_id(keyed: KeyedServer) -> None:
    key = keyed.operator.create_key("other", "read")
    path = f"/api/v1/projects/shop/keys/{keyed.operator.key_id(key)}"

    assert keyed.request("admin", "DELETE", path).status_code == 404
    assert status_with(keyed, {"x-backtrail-key": key}) == 200


# --- Carried ------------------------------------------------------------------------------------------------


def test_t31_a_key_may_come_in_any_of_four_headers(keyed: KeyedServer) -> None:
    key = keyed.keys["read"]
    for headers in (
        {"authorization": f"Bearer {key}"},
        {"Authorization": f"bearer  {key}"},
        {"x-backtrail-key": key},
        {"X-ClickHouse-Key": key, "X-ClickHouse-User": "default"},
        {"authorization": basic("anybody", key)},
        {"authorization": basic("", key)},
        {"authorization": "Bearer of-the-proxy-in-front", "x-backtrail-key": key},
    ):
        assert status_with(keyed, headers) == 200, headers


def test_t31_what_is_no_key_is_refused(keyed: KeyedServer) -> None:
    key = keyed.keys["read"]
    near = (
        "",
        "Bearer",
        f"Bearer {key[:-1]}",
        f"Bearer {key}0",
        f"Bearer {key.upper()}",
        f"x{key}",
        f"Bearer {key[3:]}",
    )
    other = ("Basic", "Basic !!!", basic(key, ""), basic("x", key[3:]), "Digest x", "Bearer \xfc\xff", "Basic \xfc")
    for value in (*near, *other):
        answer = keyed.http.get("/api/v1/runs", headers=[(b"authorization", value.encode("latin-1"))])
        assert answer.status_code == 401, value
    assert status_with(keyed, {"cookie": f"authorization=Bearer {key}; x-backtrail-key={key}"}) == 401


def test_t31_a_key_in_the_address_is_refused_with_a_sentence(keyed: KeyedServer) -> None:
    key = keyed.keys["read"]
    for path in (f"/api/v1/runs?key={key}", f"/api/v1/runs?k=bt%5F{key[3:]}", f"/{key}/api/v1/runs", f"/healthz?{key}"):
        answer = keyed.http.get(path, headers={"x-backtrail-key": key})
        assert (answer.status_code, "there is a key in the address" in answer.text) == (400, True)
        assert key not in answer.text


def test_t31_a_stranger_is_answered_before_an_endless_body_and_then_let_go(keyed: KeyedServer) -> None:
    url = urlsplit(keyed.server.url)
    head = f"POST /v1/traces HTTP/1.1\r\nhost: {url.netloc}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    with socket.create_connection((str(url.hostname), int(str(url.port))), timeout=30) as connection:
        connection.sendall(head + b"5\r\nbegin\r\n")
        answer = b""
        while piece := connection.recv(4096):  # empty when the server has closed
            answer += piece

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"this server asks for a key" in answer


@pytest.mark.parametrize("name", ["authorization", "x-backtrail-key", "x-clickhouse-key", "basic"])
def test_t31_grpc_metadata_carries_keys_under_the_same_names(keyed: KeyedServer, name: str) -> None:
    key = keyed.keys["ingest"]
    carried = {"authorization": ("authorization", f"Bearer {key}"), "basic": ("authorization", basic("otel", key))}
    metadata = (carried.get(name, (name, key)),)
    with grpc.insecure_channel(keyed.server.grpc_target) as channel:
        assert channel.unary_unary(EXPORT, None, None)(b"", metadata=metadata, timeout=30) == b""


# --- Ended --------------------------------------------------------------------------------------------------


def test_t31_a_revoked_key_is_worthless_at_once_on_open_connections_too(keyed: KeyedServer) -> None:
    key = keyed.operator.create_key("shop", "ingest", "read")
    with (
        httpx.Client(base_url=keyed.server.url, headers={"authorization": f"Bearer {key}"}) as http,
        grpc.insecure_channel(keyed.server.grpc_target) as channel,
    ):
        export = channel.unary_unary(EXPORT, None, None)
        assert http.get("/api/v1/runs").status_code == 200
        export(b"", metadata=(("x-backtrail-key", key),), timeout=30)

        keyed.operator.revoke(key)

        answer = http.get("/api/v1/runs")
        assert (answer.status_code, f"the key {key[:11]}… was revoked" in answer.text) == (401, True)
        with pytest.raises(grpc.RpcError) as refused:
            export(b"", metadata=(("x-backtrail-key", key),), timeout=30)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_t31_a_key_ends_by_itself(keyed: KeyedServer) -> None:
    expires = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    key = keyed.operator.create_key("shop", "read", expires_time=expires)
    headers = {"x-backtrail-key": key}
    assert status_with(keyed, headers) in (200, 401)  # a slow machine may be late

    until(lambda: status_with(keyed, headers) == 401)

    assert f"the key {key[:11]}… has expired" in keyed.http.get("/api/v1/runs", headers=headers).text
    assert datetime.now(UTC).isoformat() > expires


def test_t31_a_deleted_projects_keys_are_revoked_and_what_it_held_is_gone(keyed: KeyedServer) -> None:
    keyed.operator.create_project("short-lived")
    key = keyed.operator.create_key("short-lived", "ingest", "read")
    headers = {"x-backtrail-key": key}
    trace_id = bytes([0x51] * 16)
    body = otlp_request(plain_span("of the short-lived project", trace_id=trace_id)).SerializeToString()
    assert keyed.http.post("/v1/traces", content=body, headers=headers | PROTOBUF).status_code == 200

    assert keyed.request("server", "DELETE", "/api/v1/projects/short-lived").status_code == 200

    assert status_with(keyed, headers) == 401
    again = keyed.request("server", "POST", "/api/v1/projects", json={"name": "short-lived"})
    assert (again.status_code, "names are not given twice" in again.text) == (409, True)
    assert keyed.request("server", "DELETE", "/api/v1/projects/short-lived").status_code == 404


def test_t31_a_server_whose_keys_are_all_revoked_stays_closed(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, Operator(tmp_path) as operator:
        assert httpx.get(f"{server.url}/api/v1/runs").status_code == 200
        key = operator.create_key("default", "read")
        assert httpx.get(f"{server.url}/api/v1/runs").status_code == 401
        operator.revoke(key)
        assert httpx.get(f"{server.url}/api/v1/runs").status_code == 401
    with running_server(tmp_path) as server:
        assert "with keys" in server.ready_line
        assert httpx.get(f"{server.url}/api/v1/runs", headers={"x-backtrail-key": key}).status_code == 401


# --- Several processes on one store -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared_address(engine_folder: Path) -> Iterator[str]:
    with clickhouse_listening(engine_folder) as address:
        with open_store(f"{address}/keys_on_a_server") as store:
            store.migrate()
        yield f"{address}/keys_on_a_server"


def test_t31_processes_of_their_own_learn_of_each_others_keys(shared_address: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    store = ("--store", shared_address)
    with running_server(first, *store) as one, running_server(second, *store) as other, Operator(first) as operator:
        key = operator.create_key("default", "read")
        assert httpx.get(f"{one.url}/api/v1/runs").status_code == 401

        def answered(status: int) -> bool:
            return httpx.get(f"{other.url}/api/v1/runs", headers={"x-backtrail-key": key}).status_code == status

        until(lambda: answered(200))
        operator.revoke(key)
        until(lambda: answered(401))
        assert httpx.get(f"{other.url}/api/v1/runs").status_code == 401


def test_t31_while_the_store_is_away_the_keys_known_stay_good(shared_address: str) -> None:
    store = Store(parse_address(shared_address))
    keyring = KeyRing(store)
    _, secret = keyring.create(DEFAULT_PROJECT, name="x", scopes=["ingest"], expires_unix_milli=None)
    store.close()

    with pytest.raises(StoreUnavailable):
        keyring.reload()

    assert keyring.grant(secret).scopes == {"ingest"}


def test_t31_a_store_that_has_lost_its_keys_does_not_open_the_server(store_dsn: str) -> None:
    """A replica that is behind, or a database that somebody made anew."""
    with open_store(store_dsn) as store:
        store.migrate()
        keyring = KeyRing(store)
        _, secret = keyring.create(DEFAULT_PROJECT, name="x", scopes=["read"], expires_unix_milli=None)
        with store._readers.borrow() as client:
            client.command("TRUNCATE TABLE api_keys")
        keyring.reload()

    with pytest.raises(MissingKey):
        keyring.grant(None)
    with pytest.raises(WrongKey):
        keyring.grant(secret)


# --- From the command line ----------------------------------------------------------------------------------


class Shell:
    """The command in this process, which asks the server's own."""

    def __init__(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._data = data
        self._capsys = capsys

    def run(self, *arguments: str) -> tuple[str, str]:
        """What it said on stdout and on stderr."""
        with suppress(SystemExit):  # argparse
            main([*arguments, "--data", str(self._data)])
        said = self._capsys.readouterr()
        return said.out, said.err


def test_t31_keys_are_made_listed_and_revoked_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(tmp_path, capsys)
    with running_server(tmp_path) as server:
        create = ("keys", "create", "--name", "ci")
        assert "there is no project 'shop'" in shell.run(*create, "--project", "shop", "--scope", "read")[1]
        assert "project shop is there" in shell.run("projects", "create", "shop")[0]
        assert "there is a project 'shop' already" in shell.run("projects", "create", "shop")[1]
        assert shell.run("projects", "list") == ("default\nshop\n", "")
        assert "whoever reaches this server may read and write" in shell.run("keys", "list")[0]

        made, told = shell.run(*create, "--project", "shop", "--scope", "read", "--scope", "ingest", "--expires", "90d")
        key = made.removesuffix("\n")
        assert re.fullmatch(r"bt_[0-9a-f]{64}", key)
        assert re.fullmatch(
            r"This key is not shown again\. (\w{12})  bt_\w{8}…  project shop: ingest, read  ci  "
            r"\(good, expires 20\d\d-\d\d-\d\d \d\d:\d\d\)\n",
            told,
        )
        headers = {"authorization": f"Bearer {key}"}
        assert httpx.get(f"{server.url}/api/v1/runs", headers=headers).status_code == 200

        listed = shell.run("keys", "list")[0]
        assert (key[:11] in listed, key in listed) == (True, False)
        assert "(revoked 20" in shell.run("keys", "revoke", listed[:12])[0]
        assert httpx.get(f"{server.url}/api/v1/runs", headers=headers).status_code == 401

        assert "there is no key 'nothing' here" in shell.run("keys", "revoke", "nothing")[1]
        assert "no length of time: write 30m, 12h or 90d" in shell.run(*create, "--expires", "soon")[1]
        assert "say what the key is good for" in shell.run(*create)[1]
        assert "leave --scope out" in shell.run(*create, "--server", "--scope", "read")[1]
        assert "the server: admin  ci" in shell.run(*create, "--server")[1]
        assert "is deleted" in shell.run("projects", "delete", "shop")[0]
        assert "it stays" in shell.run("projects", "delete", "default")[1]
        assert shell.run("projects", "list") == ("default\n", "")

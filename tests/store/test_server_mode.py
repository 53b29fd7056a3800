"""The same store over ClickHouse's HTTP interface, as with a server."""

import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import pytest
import trustme

from backtrail_store import Batch, BatchRefused, RunFilter, Store, StoreError, StoreUnavailable, open_store
from tests.clickhouse_http import Handler, clickhouse_listening
from tests.factories import TRACE_ID, Value, batch_of, otlp_request, run_span, step_span

DATABASE = "on_a_server"


@pytest.fixture(scope="module")
def migrated_server(engine_folder: Path) -> Iterator[Store]:
    with clickhouse_listening(engine_folder) as address, open_store(f"{address}/{DATABASE}") as store:
        store.migrate()
        yield store


@pytest.fixture
def server_store(migrated_server: Store) -> Store:
    """Without rows; other listeners than its own may open the same database."""
    with migrated_server._writers.borrow() as client:
        client.command("TRUNCATE TABLE spans")
    return migrated_server


def test_spans_go_in_and_come_out_priced(server_store: Store) -> None:
    usage: dict[str, Value] = {
        "backtrail.step.kind": "llm",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.tool.call.result": "found",
    }
    server_store.insert(batch_of(otlp_request(run_span(), step_span(attributes=usage))))

    [run] = server_store.reader.find_runs("default", RunFilter())
    spans = server_store.reader.get_trace("default", TRACE_ID.hex())

    assert (run.span_count, run.input_tokens) == (2, 1000)
    assert run.cost_usd == Decimal("0.00015")
    assert spans[1].attributes["gen_ai.tool.call.result"] == "found"
    assert len(server_store.reader.get_trace_json("default", TRACE_ID.hex()).spans) == 2


def test_a_second_migration_finds_nothing_to_do(server_store: Store) -> None:
    assert server_store.migrate() == []


def test_bytes_that_are_no_batch_are_refused_for_good(server_store: Store) -> None:
    with pytest.raises(BatchRefused, match="Code: 444"):
        server_store.insert(Batch([b"garbage"], "token"))


def test_a_server_that_goes_away_is_something_to_wait_for(engine_folder: Path) -> None:
    with ExitStack() as stack:
        with clickhouse_listening(engine_folder) as address:
            store = stack.enter_context(open_store(f"{address}/away"))

        with pytest.raises(StoreUnavailable):
            store.insert(batch_of(otlp_request(run_span())))


class Watched(Handler):
    """Remembers the inserts, and does to the first of them what a test wants."""

    inserts: ClassVar[list[tuple[dict[str, str], bytes]]]
    loses_a_reply = False
    hangs: ClassVar[threading.Event | None] = None

    is_lost = False

    def run(self, statement: str, body: bytes, arguments: dict[str, str]) -> tuple[bytes, dict[str, str]]:
        result = super().run(statement, body, arguments)
        if statement.startswith("INSERT INTO otlp_in"):
            self.inserts.append((arguments, body))
            if len(self.inserts) == 1:
                self.is_lost = self.loses_a_reply
                if self.hangs is not None:
                    self.hangs.wait(60)
        return result

    def answer(self, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
        if self.is_lost:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        with suppress(ConnectionError):
            super().answer(body, status=status, headers=headers)


def row_count(store: Store, table: str) -> int:
    """As stored, not as FINAL would have it."""
    with store._readers.borrow() as client:
        return int(str(client.command(f"SELECT count() FROM {table}")))


def test_what_an_insert_relies_on_is_said_with_it_whatever_the_servers_profile_says(
    server_store: Store, engine_folder: Path
) -> None:
    class Kind(Watched):
        inserts: ClassVar = []

    batch = batch_of(otlp_request(run_span()))
    with clickhouse_listening(engine_folder, Kind) as address, open_store(f"{address}/{DATABASE}") as store:
        store.insert(batch)

    [(settings, body)] = Kind.inserts
    assert settings["insert_deduplication_token"] == batch.token
    assert settings["async_insert"] == "0"
    assert settings["deduplicate_insert"] == "enable"
    assert settings["wait_end_of_query"] == "1"
    assert body == batch.body


def test_t10_an_insert_whose_reply_is_lost_is_written_again_under_its_token_and_adds_nothing(
    server_store: Store, engine_folder: Path
) -> None:
    class Kind(Watched):
        inserts: ClassVar = []
        loses_a_reply = True

    with clickhouse_listening(engine_folder, Kind) as address, open_store(f"{address}/{DATABASE}") as store:
        store.insert(batch_of(otlp_request(run_span(), step_span())))

    # The driver itself tries again where a connection breaks: with the same bytes and the same settings.
    assert len(Kind.inserts) == 2
    assert Kind.inserts[0] == Kind.inserts[1]
    assert row_count(server_store, "spans") == 2


def test_t8_an_insert_into_a_server_that_falls_silent_ends_and_may_be_tried_again(
    server_store: Store, engine_folder: Path
) -> None:
    released = threading.Event()

    class Kind(Watched):
        inserts: ClassVar = []
        hangs = released

    batch = batch_of(otlp_request(run_span(), step_span()))
    with clickhouse_listening(engine_folder, Kind) as address:
        with (
            open_store(f"{address}/{DATABASE}?read_timeout=1") as impatient,
            pytest.raises(StoreUnavailable, match="timed out"),
        ):
            impatient.insert(batch)
        released.set()
        with open_store(f"{address}/{DATABASE}") as store:
            store.insert(batch)

    assert row_count(server_store, "spans") == 2
    assert [arguments["insert_deduplication_token"] for arguments, _ in Kind.inserts] == [batch.token] * 2


def test_t8_a_server_that_takes_connections_and_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"clickhouse://127.0.0.1:{silent.getsockname()[1]}/db?read_timeout=1&connect_timeout=1"

        with pytest.raises(StoreUnavailable, match="does not answer"), open_store(address):
            pass


class Late(Handler):
    """Fails when half of an answer has gone out under the status 200."""

    fails = False

    def answer(self, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
        if type(self).fails and body:
            tag, error = "abcdefghijklmnop", "Code: 241. DB::Exception: Memory limit exceeded"
            end = f"\r\n__exception__\r\n{tag}\r\n{error}\n{len(error) + 1} {tag}\r\n__exception__\r\n"
            body = body[:20] + end.encode()
            headers = {"X-ClickHouse-Exception-Tag": tag}
        super().answer(body, status=status, headers=headers)


def test_an_error_that_comes_late_under_the_status_200_is_an_error(server_store: Store, engine_folder: Path) -> None:
    class Kind(Late):
        fails = False

    server_store.insert(batch_of(otlp_request(run_span())))
    with (
        clickhouse_listening(engine_folder, Kind) as address,
        open_store(f"{address}/{DATABASE}?compression=none") as store,
    ):
        assert len(store.reader.get_trace("default", TRACE_ID.hex())) == 1
        Kind.fails = True

        with pytest.raises(StoreError, match="Code: 241"):
            store.reader.get_trace("default", TRACE_ID.hex())


def test_a_password_is_in_no_error_and_in_no_log(engine_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with clickhouse_listening(engine_folder, password="geheim") as address:
        wrong = address.replace("geheim", "ganzgeheim")
        with pytest.raises(StoreUnavailable, match=r"answers: .*516") as refused, open_store(wrong):
            pass
        with (
            open_store(f"{address}/{DATABASE}?compression=none") as store,
            # The engine quotes the statement that it cannot read.
            pytest.raises(StoreError, match=r"\*\*\*") as quoted,
            store._writers.borrow() as client,
        ):
            client.command("SELECT PASSWORD 'geheim'", use_database=False)

    assert "geheim" not in str(refused.value) + str(quoted.value) + repr(store._address)
    assert "geheim" not in caplog.text


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")  # the driver has it ignored, and pytest undoes that
def test_tls_is_spoken_with_who_can_show_who_it_is(server_store: Store, engine_folder: Path, tmp_path: Path) -> None:
    authority, ca_cert = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_cert)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    with clickhouse_listening(engine_folder, tls=tls) as address:
        for known in (f"secure=true&ca_cert={ca_cert}", "secure=true&verify=false"):
            with open_store(f"{address}/{DATABASE}?{known}") as store:
                assert store.reader.find_runs("default", RunFilter()) == []
        with pytest.raises(StoreUnavailable, match="certificate"), open_store(f"{address}/x?secure=true"):
            pass

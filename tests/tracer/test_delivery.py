"""Whatever answers in place of a server: the thread goes on, and one line says what is wrong and what to do."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import backtrail
from backtrail._delivery.delivery import Answer, OtlpDelivery, Outcome
from backtrail._delivery.parcel import Parcel, pack
from backtrail._delivery.processor import Processor
from backtrail._spans.recorder import Recorder, set_current_recorder
from backtrail.testing import capture_spans
from tests.tracer.receiver import Receiver, receiving

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads a request's head and what comes with it, and then does as it likes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    try:
                        connection.recv(1 << 20)
                        answer(connection)
                    except OSError:
                        pass

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1/traces"
        listening.shutdown(socket.SHUT_RDWR)


def one_span(payload: str = "") -> Parcel:
    @backtrail.run
    def main(payload: str) -> None: ...

    with capture_spans() as spans:
        main(payload)
    (parcel,) = pack(spans.of_kind("run"))
    return parcel


def sent(url: str) -> Outcome:
    return OtlpDelivery(url, {}).send(one_span()).outcome


def headed(status: str, *headers: str, body: bytes = b"") -> Callable[[socket.socket], None]:
    head = "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", "")).encode()
    return lambda connection: connection.sendall(head + body)


def test_an_answer_of_a_gigabyte_is_not_read() -> None:
    taken = 0

    def flood(connection: socket.socket) -> None:
        nonlocal taken
        connection.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        piece = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
        while taken < 1 << 30:
            connection.sendall(piece)
            taken += 1 << 20

    with answering(flood) as url:
        outcome = sent(url)
        time.sleep(0.2)

    assert outcome is Outcome.DELIVERED
    assert taken < 16 << 20, "what the sockets' buffers held"


@pytest.mark.parametrize("drip", [b"", OK, OK + b"Content-Length: 900\r\n\r\n"])
def test_an_answer_that_drips_does_not_hold_the_thread(drip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")

    is_over = False

    def trickle(connection: socket.socket) -> None:
        nonlocal is_over
        connection.sendall(drip)
        for byte in (b"HTTP/1.1 200 OK\r\nX: " if not drip else b"X-Header: ") + b"y" * 800:
            connection.sendall(bytes([byte]))
            time.sleep(0.1)
        is_over = True

    with answering(trickle) as url:
        outcome = sent(url)

    assert not is_over, "80 seconds' worth of bytes"
    # A status that came whole is the answer, whatever becomes of the rest.
    assert outcome is (Outcome.DELIVERED if drip else Outcome.UNREACHABLE)


@pytest.mark.parametrize("garbage", [b"", b"\x00\xff" * 50_000, b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 banana\r\n\r\n"])
def test_what_is_no_http_is_a_server_that_is_away(garbage: bytes) -> None:
    with answering(lambda connection: connection.sendall(garbage)) as url:
        assert sent(url) is Outcome.UNREACHABLE


def test_a_host_that_does_not_exist_is_a_server_that_is_away() -> None:
    assert sent("http://no-such-host.invalid:4318/v1/traces") is Outcome.UNREACHABLE
    assert sent(f"http://{'x' * 70}.invalid:4318/v1/traces") is Outcome.UNREACHABLE


def test_what_stands_in_the_way_is_said_in_few_words() -> None:
    with answering(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n")) as no_http:
        assert "does not speak HTTP" in OtlpDelivery(no_http, {}).send(one_span()).why
    with answering(headed("503 Later")) as busy:
        assert OtlpDelivery(busy, {}).send(one_span()).why == "it answers 503"
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = OtlpDelivery(f"http://127.0.0.1:{unused.getsockname()[1]}", {}).send(one_span())
    assert nobody.why == "Connection refused; is a server running there?"


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (
            headed("401 No"),
            "answered 401; 1 spans are lost: the api key is missing or not accepted here; "
            "give it as api_key= or BACKTRAIL_API_KEY",
        ),
        (headed("403 No"), "answered 403; 1 spans are lost: this is not allowed with the api key that was sent;"),
        (
            headed("404 No"),
            "1 spans are lost: is this a Backtrail server, or another OTLP/HTTP endpoint?",
        ),
        (headed("302 Go", "Location: https://login.example/"), "spans are not sent on to 'https://login.example/'"),
        (headed("413 No"), "more than the server takes; see max_payload_bytes"),
        (
            headed("400 No"),
            "1 spans are lost: the server does not want them, and would not the next time",
        ),
        (
            headed("200 OK", "Content-Type: text/html", body=b"<html>Welcome to our network</html>"),
            "a page of HTML, so this is no OTLP endpoint",
        ),
    ],
)
def test_a_refusal_is_one_line_that_says_what_to_do(
    answer: Callable[[socket.socket], None], line: str, caplog: pytest.LogCaptureFixture
) -> None:
    with answering(answer) as url:
        assert sent(url) is Outcome.REFUSED

    (record,) = caplog.records
    assert line in record.message


@pytest.mark.parametrize(
    ("said", "wait"),
    [
        ("2", 2.0),
        ("0", 0.0),
        ("-5", 0.0),
        ("1e9", 60.0),
        ("nan", 0.0),
        ("soon", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_a_server_may_say_how_long_to_wait_within_reason(said: str, wait: float) -> None:
    with answering(headed("503 Later", f"Retry-After: {said}")) as url:
        answer = OtlpDelivery(url, {}).send(one_span())

    assert (answer.outcome, answer.wait) == (Outcome.UNREACHABLE, wait)


def test_a_server_that_asks_to_wait_is_left_alone_until_then(receiver: Receiver) -> None:
    asked: list[float] = []

    def later(connection: socket.socket) -> None:
        asked.append(time.monotonic())
        status = "429 Later" if len(asked) == 1 else "200 OK"
        headed(status, "Retry-After: 1", "Connection: close")(connection)

    with answering(later) as url:
        processor = Processor(OtlpDelivery(url, {}))
        set_current_recorder(Recorder(sink=processor))
        backtrail.run(name="patient")(lambda: None)()
        assert processor.flush(10)
        set_current_recorder(Recorder())
        processor.shutdown()

    assert asked[1] - asked[0] >= 1


def test_a_request_too_large_for_the_server_is_sent_in_halves(receiver: Receiver) -> None:
    receiver.takes_bytes = 40_000
    processor = Processor(OtlpDelivery(f"{receiver.url}/v1/traces", {}))
    set_current_recorder(Recorder(sink=processor))

    @backtrail.step
    def echo(text: str) -> str:
        return text

    @backtrail.run
    def main() -> None:
        for number in range(20):
            echo(str(number) * 1_000)

    main()
    assert processor.flush(10)
    set_current_recorder(Recorder())
    processor.shutdown()

    assert receiver.names().count("echo") == 20
    assert all(request.ByteSize() <= 40_000 for request in receiver.requests)


def test_spans_over_which_a_server_fails_each_time_do_not_stand_in_the_way(receiver: Receiver) -> None:
    receiver.fails_over = "poison"
    processor = Processor(OtlpDelivery(f"{receiver.url}/v1/traces", {}), interval=0.01)
    set_current_recorder(Recorder(sink=processor))
    backtrail.run(name="poison")(lambda: None)()
    assert not processor.flush(30)
    backtrail.run(name="healthy")(lambda: None)()
    assert processor.flush(10)
    set_current_recorder(Recorder())
    processor.shutdown()

    assert "healthy" in receiver.names()
    assert "poison" not in receiver.names()


def test_a_delivery_that_breaks_is_not_asked_in_a_loop_as_fast_as_it_goes(receiver: Receiver) -> None:
    class Broken(OtlpDelivery):
        asked = 0

        def send(self, parcel: Parcel) -> Answer:
            self.asked += 1
            raise RuntimeError("ours")

    delivery = Broken(f"{receiver.url}/v1/traces", {})
    processor = Processor(delivery)
    set_current_recorder(Recorder(sink=processor))
    backtrail.run(name="main")(lambda: None)()
    assert not processor.flush(1)
    set_current_recorder(Recorder())
    processor.shutdown(0.1)

    assert 0 < delivery.asked < 8

"""A model provider and a refund service that live on this machine, so that the example needs no key.

    support_bot → (HTTP) → **this server**

`POST /v1/chat/completions`, `/v1/responses` and `/v1/embeddings` answer in OpenAI's shapes, at once or as a
stream, with token usage, and always the same for the same messages; `stub_model.py` says what. `POST /refunds` pays
refunds, or answers 503 while `refunds_are_down`. Every request is counted: `GET /stub/requests` tells how often each
path was called.

    python -m examples.stub_openai 8001
"""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from examples import stub_chat, stub_responses

CHAT = "/v1/chat/completions"
REFUNDS = "/refunds"
MODEL = {CHAT: stub_chat.answer, "/v1/responses": stub_responses.answer, "/v1/embeddings": stub_chat.embed}

THINKING_SECONDS = 0.12


class StubServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int = 0, *, refunds_are_down: bool = False) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.refunds_are_down = refunds_are_down
        self.requests: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()
        self.lock = threading.Lock()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone away is no news."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: StubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/stub/requests":
            self.answer(200, dict(self.server.requests))
        else:
            self.answer(404, {"error": {"message": f"nothing at {self.path}"}})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests[self.path] += 1
        time.sleep(THINKING_SECONDS)
        if self.path in MODEL:
            whole, pieces = MODEL[self.path](body)
            self.count(whole["usage"])
            self.stream(pieces) if body.get("stream") else self.answer(200, whole)
        elif self.path == REFUNDS and self.server.refunds_are_down:
            self.answer(503, {"error": {"message": "refunds are paused"}})
        elif self.path == REFUNDS:
            self.answer(200, {"refund_id": f"RF-{body['order_id']}", "amount": body["amount"]})
        else:
            self.answer(404, {"error": {"message": f"nothing at {self.path}"}})

    def count(self, usage: dict[str, int]) -> None:
        """Chat completions and responses have two words for the same."""
        with self.server.lock:
            self.server.tokens["input"] += usage.get("prompt_tokens", 0) + usage.get("input_tokens", 0)
            self.server.tokens["output"] += usage.get("completion_tokens", 0) + usage.get("output_tokens", 0)

    def answer(self, status: int, content: dict[str, object]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, events: Iterator[str]) -> None:
        """Server-sent events, in chunks because nobody knows the length before the end."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            data = event.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the program that runs the stub has the terminal."""


@contextmanager
def running_stub(*, refunds_are_down: bool = False) -> Iterator[StubServer]:
    with StubServer(refunds_are_down=refunds_are_down) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    with StubServer(int(sys.argv[1]) if len(sys.argv) > 1 else 8001) as stub:
        print(f"OPENAI_BASE_URL={stub.url}/v1 REFUNDS_URL={stub.url}{REFUNDS}; stop with Ctrl-C")
        with suppress(KeyboardInterrupt):
            stub.serve_forever()

"""Model providers on this machine: OpenAI's and Anthropic's protocols, as far as our tests ask for them.

    client → (HTTP) → **Provider** → protocols/

The answer calls the first tool it is offered, once, and repeats the last thing that was said. `refusals` are statuses
for the next requests, `requests` the paths asked for so far. Each answer has an id of its own, as long as a real one.
"""

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.protocols.chat import chat_completion, chunks, embedding
from tests.protocols.messages import message, message_events
from tests.protocols.responses import response, response_events
from tests.protocols.saying import Body


class Provider(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []
        self.refusals: list[int] = []
        self.numbers = itertools.count(1)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Provider
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.partition("?")[0]
        self.server.requests.append(path)
        if self.server.refusals:
            status = self.server.refusals.pop(0)
            return self.answer(status, {"error": {"message": "slow down", "type": "rate_limit", "code": "busy"}})
        answer = ANSWERS[path](body, next(self.server.numbers))
        if body.get("stream"):
            return self.stream(PIECES[path](answer, body))
        return self.answer(200, answer)

    def stream(self, pieces: list[Body]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        # A consumer may want no more of it.
        with suppress(ConnectionError):
            self.send(pieces)

    def send(self, pieces: list[Body]) -> None:
        for piece in pieces:
            name = f"event: {piece['type']}\n" if "type" in piece else ""
            self.wfile.write(f"{name}data: {json.dumps(piece)}\n\n".encode())
        if pieces[0].get("object") == "chat.completion.chunk":
            self.wfile.write(b"data: [DONE]\n\n")

    def answer(self, status: int, content: Body) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("x-request-id", "req-1")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        return None


PIECES = {"/v1/chat/completions": chunks, "/v1/responses": response_events, "/v1/messages": message_events}
ANSWERS = {
    "/v1/chat/completions": chat_completion,
    "/v1/responses": response,
    "/v1/embeddings": embedding,
    "/v1/messages": message,
}


@contextmanager
def running_provider() -> Iterator[Provider]:
    with Provider() as provider:
        thread = threading.Thread(target=provider.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            provider.shutdown()
            thread.join()

"""A model provider and a refund service that live on this machine, so that the example needs no key.

    support_bot → (HTTP) → **this server**

`POST /v1/chat/completions` answers in OpenAI's shape, with token usage, and always the same for the same
messages. `POST /refunds` pays refunds, or answers 503 while `refunds_are_down`. Every request is counted:
`GET /stub/requests` tells how often each path was called.

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

CHAT = "/v1/chat/completions"
REFUNDS = "/refunds"

# What the model says when a prompt holds these words; the first line that fits is taken.
ANSWERS = [
    ("what the customer wants", "refund"),
    ("returns.md", "Damaged on arrival: full refund of the item, no return needed."),
    ("shipping.md", "Glass ships double-boxed; a broken shade is treated as our fault."),
    ("lamp-care.md", "Nothing in the care guide would explain a broken shade."),
    ("how many euros", "49.00"),
    ("Write to the customer", "Sorry about the broken shade. 49.00 EUR are on their way to you; please keep the lamp."),
]
THINKING_SECONDS = 0.12


class StubServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int = 0, *, refunds_are_down: bool = False) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.refunds_are_down = refunds_are_down
        self.requests: Counter[str] = Counter()
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
        if self.path == CHAT:
            self.answer(200, completion(body["model"], body["messages"]))
        elif self.path == REFUNDS and self.server.refunds_are_down:
            self.answer(503, {"error": {"message": "refunds are paused"}})
        elif self.path == REFUNDS:
            self.answer(200, {"refund_id": f"RF-{body['order_id']}", "amount": body["amount"]})
        else:
            self.answer(404, {"error": {"message": f"nothing at {self.path}"}})

    def answer(self, status: int, content: dict[str, object]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the program that runs the stub has the terminal."""


def completion(model: str, messages: list[dict[str, str]]) -> dict[str, object]:
    prompt = "\n".join(message["content"] for message in messages)
    answer = next((answer for words, answer in ANSWERS if words in prompt), "I do not know.")
    # Four characters a token is close enough to how real models count English.
    input_tokens, output_tokens = len(prompt) // 4, len(answer) // 4 + 1
    return {
        "id": "chatcmpl-stub",
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer}}],
        "usage": {
            "prompt_tokens": input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": input_tokens + output_tokens,
        },
    }


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

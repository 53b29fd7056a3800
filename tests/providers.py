"""Model providers on this machine: OpenAI's and Anthropic's protocols, as far as our tests ask for them.

    client → (HTTP) → **Provider**

The answer repeats the last thing that was said. `refusals` are statuses for the next requests, `requests` the paths
asked for so far.
"""

import base64
import json
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]


class Provider(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []
        self.refusals: list[int] = []

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
        if body.get("stream"):
            return self.stream(PIECES[path](ANSWERS[path](body)))
        return self.answer(200, ANSWERS[path](body))

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


def chat_completion(body: Body) -> Body:
    said = body["messages"][-1]["content"]
    text = json.dumps({"text": said}) if "response_format" in body else f"You said: {said}"
    message = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": f"{body['model']}-2026",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message, "logprobs": None}],
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 60},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
    }


def response(body: Body) -> Body:
    text = {"type": "output_text", "text": f"You said: {body['input']}", "annotations": []}
    return {
        "id": "resp-1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "model": f"{body['model']}-2026",
        "output": [{"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": [text]}],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 100,
            "output_tokens": 20,
            "total_tokens": 120,
            "input_tokens_details": {"cached_tokens": 60},
            "output_tokens_details": {"reasoning_tokens": 5},
        },
    }


def embedding(body: Body) -> Body:
    vector = struct.pack("<3f", 0.5, -1.0, 2.0)
    return {
        "object": "list",
        "model": body["model"],
        "data": [{"object": "embedding", "index": 0, "embedding": base64.b64encode(vector).decode()}],
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    }


def message(body: Body) -> Body:
    return {
        "id": "msg-1",
        "type": "message",
        "role": "assistant",
        "model": f"{body['model']}-2026",
        "content": [{"type": "text", "text": f"You said: {body['messages'][-1]['content']}"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 30,
            "output_tokens": 20,
            "cache_read_input_tokens": 60,
            "cache_creation_input_tokens": 10,
        },
    }


def chunks(answer: Body) -> list[Body]:
    """A chat completion word by word, usage in a chunk of its own at the end."""
    base = {"id": answer["id"], "object": "chat.completion.chunk", "created": 1, "model": answer["model"]}
    words = answer["choices"][0]["message"]["content"].split(" ")
    deltas: list[Body] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word if number == 0 else f" {word}"} for number, word in enumerate(words)]
    given = [{**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    end = {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return [*given, end, {**base, "choices": [], "usage": answer["usage"]}]


def response_events(answer: Body) -> list[Body]:
    text = {"item_id": "m1", "output_index": 0, "content_index": 0, "logprobs": []}
    return [
        {"type": "response.created", "sequence_number": 0, "response": {**answer, "output": [], "usage": None}},
        {"type": "response.output_text.delta", "sequence_number": 1, "delta": "You said", **text},
        {"type": "response.completed", "sequence_number": 2, "response": answer},
    ]


def message_events(answer: Body) -> list[Body]:
    usage = answer["usage"]
    start = {**answer, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    words = answer["content"][0]["text"].split(" ")
    texts = [word if number == 0 else f" {word}" for number, word in enumerate(words)]
    return [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": t}} for t in texts],
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": usage["output_tokens"]},
        },
        {"type": "message_stop"},
    ]


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

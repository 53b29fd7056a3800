"""ClickHouse's HTTP interface over the embedded engine: what a ClickHouse server is to us, where none can be had.

The protocol is the real one (the statement in `query` or the body, settings and `param_…` in the address, formats as
ClickHouse writes them, errors with their code), and so is the engine behind it; only the listener is ours.
"""

import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb

connect: Any = chdb.connect  # untyped

_NOT_SETTINGS = {"query", "database", "compress", "decompress", "client_protocol_version", "session_id", "query_id"}
_NOT_SETTINGS |= {"wait_end_of_query", "send_progress_in_http_headers", "http_headers_progress_interval_ms"}
_NOT_SETTINGS |= {"enable_http_compression", "buffer_size", "user", "password", "role"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine: str
    is_listening = True

    def do_GET(self) -> None:
        self.answer(b"Ok.\n")

    def do_POST(self) -> None:
        if not self.is_listening:  # a connection that was kept alive longer than its server
            self.close_connection = True
            return
        arguments = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        statement = arguments.get("query", "")
        if not statement and body.startswith(b"INSERT") and b" FORMAT " in body.partition(b"\n")[0]:
            first_line, _, body = body.partition(b"\n")
            statement = first_line.decode()
        elif not statement:
            statement, body = body.decode(), b""
        try:
            self.answer(self.run(statement, body, arguments))
        except Exception as error:
            code = re.search(r"Code: (\d+)", str(error))
            self.answer(str(error).encode(), status=500, code=code[1] if code else "0")

    def run(self, statement: str, body: bytes, arguments: dict[str, str]) -> bytes:
        connection = connect(self.engine)
        try:
            if database := arguments.get("database"):
                connection.query(f"USE `{database}`")
            for name, value in arguments.items():
                if name not in _NOT_SETTINGS and not name.startswith("param_"):
                    connection.query(f"SET {name} = {quoted(value)}")
            parameters: dict[str, Any] = {
                name.removeprefix("param_"): value for name, value in arguments.items() if name.startswith("param_")
            }
            if not body:
                return bytes(connection.query(statement, "TabSeparated", params=parameters).bytes() or b"")
            with tempfile.NamedTemporaryFile() as file:
                file.write(body)
                file.flush()
                into, _, format_ = statement.rpartition("FORMAT")
                connection.query(f"{into} FROM INFILE {quoted(file.name)} FORMAT {format_}")
                return b""
        finally:
            connection.close()

    def answer(self, body: bytes, *, status: int = 200, code: str | None = None) -> None:
        self.send_response(status)
        if code is not None:
            self.send_header("x-clickhouse-exception-code", code)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@contextmanager
def clickhouse_listening(engine: Path) -> Iterator[str]:
    """The address to open a store at."""
    handler: Any = type("EngineHandler", (Handler,), {"engine": str(engine)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"clickhouse://default@127.0.0.1:{server.server_address[1]}"
        handler.is_listening = False
        server.shutdown()

"""ClickHouse's HTTP interface over the embedded engine: what a ClickHouse server is to us, where none can be had.

    python -m tests.clickhouse_http FOLDER [--port PORT] [--cluster NAME [--shards N]] [--password PASSWORD]

The protocol is the real one (the statement in `query` or the body, settings and `param_…` in the address, compressed
and chunked bodies, formats as ClickHouse writes them, errors with their code and, once progress has been promised,
under the status 200), and so is the engine behind it; only the listener is ours. With --cluster the engine is the one
node of a cluster, and its Distributed tables are the real ones. What the library lacks is left out of the statements:
the queue that carries them to other nodes (ON CLUSTER), and what replicas need to find one another (Replicated).
"""

import argparse
import base64
import gzip
import json
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb
import lz4.frame

connect: Any = chdb.connect  # untyped

_NOT_SETTINGS = {"query", "database", "compress", "decompress", "client_protocol_version", "session_id", "query_id"}
_NOT_SETTINGS |= {"wait_end_of_query", "send_progress_in_http_headers", "http_headers_progress_interval_ms"}
_NOT_SETTINGS |= {"enable_http_compression", "buffer_size", "user", "password", "role"}
_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "lz4": lz4.frame.decompress,
}
_ON_CLUSTER = re.compile(r" ON CLUSTER '(\w+)'")
_REPLICATED = re.compile(r"\bENGINE = Replicated(\w+)\('[^']+', '[^']+'(?:, )?")
START_SECONDS = 60

CLUSTER_CONFIG = """<clickhouse>
  <zookeeper><implementation>testkeeper</implementation></zookeeper>
  <macros><shard>01</shard><replica>one</replica></macros>
  <tcp_port>9000</tcp_port>
  <remote_servers><{name}>{shards}</{name}></remote_servers>
</clickhouse>
"""
SHARD = "<shard><replica><host>127.0.0.1</host><port>9000</port></replica></shard>"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine: str
    cluster = ""
    password = ""
    is_listening = True

    def do_GET(self) -> None:
        self.answer(b"Ok.\n")

    def do_POST(self) -> None:
        if not self.is_listening:  # a connection that was kept alive longer than its server
            self.close_connection = True
            return
        arguments = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = _DECODERS[self.headers.get("content-encoding", "")](self.body())
        statement = arguments.get("query", "")
        if not statement and body.startswith(b"INSERT") and b" FORMAT " in body.partition(b"\n")[0]:
            first_line, _, body = body.partition(b"\n")
            statement = first_line.decode()
        elif not statement:
            statement, body = body.decode(), b""
        if not self.is_welcome():
            self.refuse("Code: 516. DB::Exception: Authentication failed (AUTHENTICATION_FAILED)", 403)
            return
        try:
            answer, summary = self.run(statement, body, arguments)
        except Exception as error:
            # Progress goes out as headers under the status 200 before it is known how the query ends.
            self.refuse(str(error), 200 if arguments.get("send_progress_in_http_headers") == "1" else 500)
            return
        is_lz4 = arguments.get("enable_http_compression") == "1" and "lz4" in self.headers.get("accept-encoding", "")
        self.answer(
            lz4.frame.compress(answer) if is_lz4 else answer,
            headers={"X-ClickHouse-Summary": json.dumps(summary)} | ({"Content-Encoding": "lz4"} if is_lz4 else {}),
        )

    def body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def is_welcome(self) -> bool:
        given = self.headers.get("authorization", "").removeprefix("Basic ")
        return base64.b64decode(given).decode() == f"default:{self.password}"

    def run(self, statement: str, body: bytes, arguments: dict[str, str]) -> tuple[bytes, dict[str, str]]:
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
            if self.cluster:
                statement = alone(statement, self.cluster)
            if not body:
                result = connection.query(statement, "TabSeparated", params=parameters)
                return bytes(result.bytes() or b""), {"read_rows": str(result.storage_rows_read())}
            with tempfile.NamedTemporaryFile() as file:
                file.write(body)
                file.flush()
                into, _, format_ = statement.rpartition("FORMAT")
                result = connection.query(f"{into} FROM INFILE {quoted(file.name)} FORMAT {format_}")
                return b"", {"written_rows": str(result.rows_read())}
        finally:
            connection.close()

    def refuse(self, error: str, status: int) -> None:
        code = re.search(r"Code: (\d+)", error)
        self.answer(error.encode(), status=status, headers={"X-ClickHouse-Exception-Code": code[1] if code else "1001"})

    def answer(self, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("X-ClickHouse-Timezone", "UTC")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def alone(statement: str, cluster: str) -> str:
    """The statement as it would be for a single node."""
    statement = _ON_CLUSTER.sub(lambda found: "" if found[1] == cluster else found[0], statement)
    if not _REPLICATED.search(statement):
        return statement
    statement = re.sub(
        r"replicated_deduplication_window_seconds = \d+, ", "", _REPLICATED.sub(r"ENGINE = \1(", statement)
    )
    return statement.replace("replicated_deduplication_window", "non_replicated_deduplication_window")


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@contextmanager
def listening(port: int, kind: type[Handler], *, tls: ssl.SSLContext | None = None, **attributes: str) -> Iterator[str]:
    """The address of a server whose handlers are of this kind and have these attributes, without a database."""
    handler: Any = type("EngineHandler", (kind,), attributes)
    with Server(("127.0.0.1", port), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        password = attributes.get("password", "")
        yield f"clickhouse://default:{password}@127.0.0.1:{server.server_address[1]}"
        handler.is_listening = False
        server.shutdown()


@contextmanager
def clickhouse_listening(
    engine: Path, kind: type[Handler] = Handler, *, password: str = "", tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """The address to open a store at, answered by this process, which may have the engine's folder open otherwise."""
    with listening(0, kind, tls=tls, engine=str(engine), password=password) as address:
        yield address


@contextmanager
def clickhouse_process(folder: Path, *arguments: str) -> Iterator[str]:
    """The same from a process of its own, which may be of another kind: part of a cluster, for instance."""
    command = [sys.executable, "-m", "tests.clickhouse_http", str(folder), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        timer = threading.Timer(START_SECONDS, process.kill)
        timer.start()
        try:
            address = process.stdout.readline().strip()
            timer.cancel()
            assert address, "the stand-in for a ClickHouse server did not start"
            yield address
        finally:
            timer.cancel()
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--cluster", default="", help="be the one node of a cluster with this name")
    parser.add_argument(
        "--shards", type=int, default=1, help="how often this node stands in it: each row is found so often"
    )
    parser.add_argument("--password", default="")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    engine = str(options.folder / "engine")
    if options.cluster:
        config = options.folder / "cluster.xml"
        config.write_text(CLUSTER_CONFIG.format(name=options.cluster, shards=SHARD * options.shards))
        engine += f"?config-file={config}"
    kept_open = connect(engine)  # with the last connection the engine would close, and open again for every request
    with listening(options.port, Handler, engine=engine, cluster=options.cluster, password=options.password) as address:
        print(address, flush=True)
        threading.Event().wait()
    kept_open.close()


if __name__ == "__main__":
    main()

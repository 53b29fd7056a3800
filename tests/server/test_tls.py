"""Both ports by TLS: what reaches them, and what is said when a file is wrong."""

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
import trustme

from backtrail_server import process
from backtrail_server.settings import Settings
from backtrail_server.tls import UnusableCertificate, tls_of
from tests.e2e.test_stock_otel import PROGRAM, fetch
from tests.factories import otlp_request, plain_span
from tests.server.test_patience import connected, read_to_end, serving
from tests.server.test_serving import run_and_fail
from tests.serving import RunningServer, running_server, serve_command

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
BODY = otlp_request(plain_span()).SerializeToString()
PROTOBUF = {"content-type": "application/x-protobuf"}


@dataclass(frozen=True)
class Files:
    """An authority, a certificate of the server and one of a client."""

    ca: Path
    cert: Path
    key: Path
    client_cert: Path
    client_key: Path

    def variables(self, **others: Path) -> dict[str, str]:
        chosen = {"CERT": self.cert, "KEY": self.key} | others
        return {**os.environ, **{f"BACKTRAIL_TLS_{name}": str(path) for name, path in chosen.items()}}

    def settings(self, **others: object) -> Settings:
        chosen = {"tls_cert": self.cert, "tls_key": self.key} | others
        return Settings(**{name: str(path) for name, path in chosen.items()})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1", "localhost")
    client = authority.issue_cert("agent.example")
    files = Files(*(folder / name for name in ("ca.pem", "cert.pem", "key.pem", "client.pem", "client-key.pem")))
    authority.cert_pem.write_to_path(files.ca)
    for chain, certificate in ((files.cert, server), (files.client_cert, client)):
        chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    server.private_key_pem.write_to_path(files.key)
    client.private_key_pem.write_to_path(files.client_key)
    return files


@pytest.fixture(scope="module")
def server(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("tls"), env=files.variables()) as server:
        yield server


def test_both_ports_are_served_by_tls_and_the_ready_line_says_so(files: Files, server: RunningServer) -> None:
    assert server.ready_line.startswith("Backtrail serves https://127.0.0.1:")
    assert " grpcs://127.0.0.1:" in server.ready_line
    context = ssl.create_default_context(cafile=files.ca)
    assert httpx.post(f"{server.url}/v1/traces", content=BODY, headers=PROTOBUF, verify=context).is_success
    credentials = grpc.ssl_channel_credentials(files.ca.read_bytes())
    with grpc.secure_channel(server.grpc_target, credentials) as channel:
        assert channel.unary_unary(EXPORT, bytes, bytes)(BODY, timeout=20) == b""


def test_what_speaks_no_tls_or_trusts_others_gets_nothing(server: RunningServer) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.get(server.url.replace("https:", "http:"))
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(server.url, verify=ssl.create_default_context())


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_stock_exporters_reach_it_by_the_standard_variable(files: Files, server: RunningServer, protocol: str) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "OTEL_EXPORTER_OTLP_ENDPOINT": server.url if protocol == "http" else f"https://{server.grpc_target}",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(files.ca),
    }
    command = [sys.executable, str(PROGRAM), protocol]
    sent = json.loads(subprocess.check_output(command, env=environment, text=True, timeout=60))

    assert len(fetch(server.url, sent["trace_id"], verify=ssl.create_default_context(cafile=files.ca))) == 2


SDK_PROGRAM = """
import time
import backtrail

@backtrail.run
def answer(question: str) -> str:
    return "yes"

backtrail.configure(service_name="secure")
answer("Is this private?")
backtrail.shutdown()
with backtrail.Client() as client:
    while not (runs := client.runs(service="secure").runs):
        time.sleep(0.05)
    print(runs[0].name)
"""


def test_the_sdk_and_its_client_reach_it(files: Files, server: RunningServer) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "OTEL_EXPORTER_OTLP_ENDPOINT": server.url,
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(files.ca),
        "SSL_CERT_FILE": str(files.ca),
    }
    output = subprocess.check_output([sys.executable, "-c", SDK_PROGRAM], env=environment, text=True, timeout=60)

    assert output == "answer\n"


def test_with_an_authority_for_clients_only_its_holders_may_connect(files: Files, tmp_path: Path) -> None:
    ca = files.ca.read_bytes()
    stranger, holder = ssl.create_default_context(cafile=files.ca), ssl.create_default_context(cafile=files.ca)
    holder.load_cert_chain(files.client_cert, files.client_key)
    holding = grpc.ssl_channel_credentials(ca, files.client_key.read_bytes(), files.client_cert.read_bytes())
    with (
        running_server(tmp_path / "data", env=files.variables(CLIENT_CA=files.ca)) as server,
        grpc.secure_channel(server.grpc_target, grpc.ssl_channel_credentials(ca)) as strange_channel,
        grpc.secure_channel(server.grpc_target, holding) as holding_channel,
    ):
        assert httpx.get(f"{server.url}/healthz", verify=holder).is_success
        assert holding_channel.unary_unary(EXPORT, bytes, bytes)(BODY, timeout=20) == b""
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{server.url}/healthz", verify=stranger)
        with pytest.raises(grpc.RpcError):
            strange_channel.unary_unary(EXPORT, bytes, bytes)(BODY, timeout=20)


def test_t27_a_handshake_that_never_ends_is_given_up(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "HEAD_SECONDS", 0.3)
    tls = tls_of(files.settings())
    assert tls
    with serving(**tls.uvicorn_options) as (_, port), connected(port) as connection:
        assert read_to_end(connection) == b""


def locked(key: Path, path: Path) -> Path:
    subprocess.run(["openssl", "pkey", "-in", key, "-aes128", "-passout", "pass:x", "-out", path], check=True)
    return path


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (lambda files, folder: files.settings(tls_cert=folder / "no.pem"), "no.pem cannot be read: No such file"),
        (lambda files, folder: files.settings(tls_key=folder), "cannot be read: Is a directory"),
        (lambda files, _: files.settings(tls_key=files.client_key), "client-key.pem is not the key of the certificate"),
        (lambda files, _: files.settings(tls_key=files.cert), "do not hold a certificate and its key in PEM form"),
        (lambda files, _: files.settings(tls_cert=Path(__file__)), "do not hold a certificate and its key in PEM form"),
        (lambda files, _: files.settings(tls_client_ca=Path(__file__)), "test_tls.py holds no certificate in PEM form"),
        (lambda files, folder: files.settings(tls_key=locked(files.key, folder / "l.pem")), "l.pem is locked with a"),
        (lambda files, _: files.settings(tls_key=""), "_CERT and BACKTRAIL_TLS_KEY have to be given, both of them"),
        (
            lambda files, _: Settings(tls_client_ca=str(files.ca)),
            "BACKTRAIL_TLS_CERT and BACKTRAIL_TLS_KEY have to be given",
        ),
    ],
)
def test_a_file_that_cannot_serve_is_named(
    files: Files, tmp_path: Path, settings: Callable[[Files, Path], Settings], words: str
) -> None:
    with pytest.raises(UnusableCertificate) as caught:
        tls_of(settings(files, tmp_path))

    assert words in str(caught.value)


def test_nothing_is_opened_with_a_wrong_file(files: Files, tmp_path: Path) -> None:
    complaint = run_and_fail(serve_command(tmp_path / "data"), files.variables(KEY=files.client_key))

    assert "client-key.pem is not the key of the certificate in" in complaint
    assert not (tmp_path / "data").exists()

"""The certificate of both ports, read before anything is opened, so that a wrong file is one sentence.

settings → **tls** → process (HTTP), app (gRPC)
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from backtrail_server.errors import CannotStart
from backtrail_server.settings import Settings


class UnusableCertificate(CannotStart):
    """A file of the certificate is missing, unreadable or does not fit the others. The message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """With `client_ca`, only clients that hold a certificate of it may connect."""

    cert: Path
    key: Path
    client_ca: Path | None

    def check(self) -> None:
        """Raises UnusableCertificate."""
        for path in (self.cert, self.key, *self._client_cas):
            try:
                path.read_bytes()
            except OSError as error:
                raise UnusableCertificate(f"TLS: {path} cannot be read: {error.strerror}") from error
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.cert, self.key, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            raise UnusableCertificate(f"TLS: {self._fault_of_pair(error)}") from error
        for path in self._client_cas:
            try:
                context.load_verify_locations(path)
            except ssl.SSLError as error:
                raise UnusableCertificate(f"TLS: {path} holds no certificate in PEM form") from error

    def grpc_credentials(self) -> grpc.ServerCredentials:
        pair = (self.key.read_bytes(), self.cert.read_bytes())
        client_ca = self.client_ca.read_bytes() if self.client_ca else None
        return grpc.ssl_server_credentials([pair], client_ca, require_client_auth=client_ca is not None)

    @property
    def uvicorn_options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"ssl_certfile": self.cert, "ssl_keyfile": self.key}
        if self.client_ca:
            options |= {"ssl_ca_certs": str(self.client_ca), "ssl_cert_reqs": ssl.CERT_REQUIRED}
        return options

    @property
    def _client_cas(self) -> list[Path]:
        return [self.client_ca] if self.client_ca else []

    def _fault_of_pair(self, error: ssl.SSLError | ValueError) -> str:
        if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
            return f"{self.key} is not the key of the certificate in {self.cert}"
        if not isinstance(error, ssl.SSLError):
            return f"{self.key} is locked with a password: give one that is not"
        return f"{self.cert} and {self.key} do not hold a certificate and its key in PEM form"


def tls_of(settings: Settings) -> Tls | None:
    """Raises UnusableCertificate."""
    cert, key, client_ca = settings.tls_cert, settings.tls_key, settings.tls_client_ca
    if not (cert and key):
        if cert or key or client_ca:
            raise UnusableCertificate("TLS: BACKTRAIL_TLS_CERT and BACKTRAIL_TLS_KEY have to be given, both of them")
        return None
    tls = Tls(cert=Path(cert), key=Path(key), client_ca=Path(client_ca) if client_ca else None)
    tls.check()
    return tls


def _no_password() -> str:
    """Without this, Python would ask at the terminal."""
    raise ValueError("locked")

"""Every BACKTRAIL_ variable of the server, with its sentence.

environment, flags → cli → **settings** → process, app (which hand on numbers and paths, not this object)
"""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from backtrail_server.auth.secret import is_secret


class Settings(BaseSettings):
    """Everything the server reads from its environment. Read once, in `cli.py`."""

    model_config = SettingsConfigDict(env_prefix="BACKTRAIL_", extra="forbid")

    host: str = Field(default="127.0.0.1", description="Address to listen on, for HTTP and for gRPC.")
    port: int = Field(
        default=4318, ge=0, le=65535, description="Port for everything HTTP: OTLP, API and metrics; 0 takes a free one."
    )
    grpc_port: int = Field(default=4317, ge=0, le=65535, description="Port for OTLP/gRPC; 0 takes a free one.")
    data: Path = Field(
        default=Path("backtrail-data"),
        validate_default=True,
        description="Folder for the inbox and the embedded store; one process owns it.",
    )
    store: str = Field(
        default="",
        description="Where spans are kept: clickhouse://user:password@host:8123/database, or chdb:///folder; "
        "empty for an embedded store inside the data folder.",
    )
    cluster: str = Field(
        default="",
        description="The ClickHouse cluster whose nodes all get the schema, by the name its servers know it by; "
        "empty for one server.",
    )
    only: Literal["", "ingest", "query"] = Field(
        default="",
        description="ingest: receive spans and answer no questions; query: the reverse, without an inbox. For several "
        "processes on one ClickHouse server; empty does both.",
    )
    max_request_bytes: int = Field(
        default=64 << 20, gt=0, description="Largest request taken, counted after decompression."
    )
    max_attributes: int = Field(
        default=4096,
        ge=16,
        description="Most attributes of a span, a log record, an event, a link or a resource; "
        "further ones are counted as dropped.",
    )
    max_events: int = Field(default=10_000, ge=1, description="Most events of a span.")
    max_links: int = Field(default=10_000, ge=1, description="Most links of a span.")
    max_name_length: int = Field(
        default=16_384, ge=64, description="Most characters of a name: of a span, an event, an attribute."
    )
    max_value_bytes: int = Field(
        default=4 << 20,
        ge=1024,
        description="Most bytes of one value; what is cut keeps its length and sha256, "
        "and its step cannot be replayed.",
    )
    max_bytes_in_flight: int = Field(
        default=256 << 20, gt=0, description="Most bytes of requests between their arrival and their acknowledgement."
    )
    max_connections: int = Field(
        default=4096,
        gt=0,
        description="Most connections at a time on each port; fewer if the system allows fewer open files.",
    )
    inbox_bytes: int = Field(
        default=2 << 30, ge=1 << 20, description="Most the inbox may hold on disk before new spans are refused."
    )
    disk_reserve_bytes: int = Field(
        default=256 << 20, ge=0, description="Free disk space below which new spans are refused."
    )
    spans_days: int = Field(
        default=0, ge=0, description="Days that spans are kept where their project does not say; 0 is for ever."
    )
    contents_days: int = Field(
        default=0,
        ge=0,
        description="The same for payload texts, which are never kept longer than their spans; 0 is as long.",
    )
    drop_oldest_when_full: bool = Field(
        default=False,
        description="Drop the oldest week when the disk is short, instead of refusing new spans when it is full.",
    )
    batch_bytes: int = Field(default=64 << 20, gt=0, description="Most bytes of requests in one insert.")
    retry_after: int = Field(
        default=2, ge=1, le=3, description="Seconds a refused client is told to wait; stock exporters give up beyond 3."
    )
    silence_seconds: int = Field(
        default=60,
        ge=1,
        description="Seconds without a sign of life after which a run without an end is incomplete; "
        "the SDK gives one every 30.",
    )

    prices: str = Field(
        default="",
        description="YAML file with prices of your own, read again when it changes; docs/cost.md shows one.",
    )
    key: SecretStr = Field(
        default=SecretStr(""),
        description="A key that is good for everything in the project `default`, as long as the server runs with it; "
        "`bt_` and 64 hexadecimal digits.",
    )
    allowed_hosts: str = Field(
        default="",
        description="Names other than its own addresses by which the server is asked, with commas in between; "
        "on loopback none, elsewhere any, unless some are given.",
    )

    cors_origins: str = Field(
        default="",
        description="Origins whose pages may send telemetry from a browser, as https://app.example, with commas in "
        "between; * is any.",
    )
    tls_cert: str = Field(
        default="", description="Certificate of both ports, with the chain above it, in PEM form; serves them by TLS."
    )
    tls_key: str = Field(default="", description="The certificate's private key, in PEM form.")
    tls_client_ca: str = Field(
        default="", description="Certificates in PEM form; only clients that hold one signed by them may connect."
    )

    @field_validator("cors_origins")
    @classmethod
    def only_origins(cls, origins: str) -> str:
        for origin in listed(origins):
            if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#@ ]+", origin):
                raise ValueError(
                    f"{origin!r} is no origin: a scheme and a host, and a port if it is unusual, without a path"
                )
        return origins

    @field_validator("key")
    @classmethod
    def random_enough(cls, key: SecretStr) -> SecretStr:
        if key.get_secret_value() and not is_secret(key.get_secret_value()):
            raise ValueError("a key is bt_ and 64 hexadecimal digits; `echo bt_$(openssl rand -hex 32)` makes one")
        return key

    @field_validator("data")
    @classmethod
    def absolute(cls, data: Path) -> Path:
        return data.expanduser().absolute()

    @property
    def store_dsn(self) -> str:
        return self.store or f"chdb://{self.data / 'clickhouse'}"

    @property
    def host_names(self) -> frozenset[str]:
        return listed(self.allowed_hosts)

    @property
    def origins(self) -> frozenset[str]:
        return listed(self.cors_origins)

    @property
    def inbox_path(self) -> Path:
        return self.data / "inbox.sqlite"


OF_OTHERS = {"BACKTRAIL_API_KEY", "BACKTRAIL_ENDPOINT", "BACKTRAIL_TEST_STORE", "BACKTRAIL_TEST_CANARY"}


def unknown_variables(environment: Iterable[str]) -> Iterator[str]:
    """A sentence for each BACKTRAIL_ variable that nobody reads: it is most likely misspelt, and so without effect."""
    known = {f"BACKTRAIL_{name.upper()}" for name in Settings.model_fields}
    for name in sorted(environment):
        if name.upper().startswith("BACKTRAIL_") and name.upper() not in known | OF_OTHERS:
            near = get_close_matches(name.upper(), sorted(known), n=1)
            yield f"{name} is no setting and is ignored" + (f"; is {near[0]} meant?" if near else "")


def listed(names: str) -> frozenset[str]:
    return frozenset(name.strip().lower() for name in names.split(",") if name.strip())


def describe(error: ValidationError) -> str:
    return "; ".join(_describe(fault) for fault in error.errors(include_url=False))


def _describe(fault: ErrorDetails) -> str:
    name = str(fault["loc"][0])
    given = "" if name == "key" else f"={fault['input']!r}"  # a key is nothing to print
    return f"BACKTRAIL_{name.upper()}{given}: {fault['msg']}"

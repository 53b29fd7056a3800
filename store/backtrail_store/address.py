"""A store's address, as people write it.

    settings → **address** → client

`chdb:///folder` is an embedded ClickHouse in this process; `?database=` names its database.
`clickhouse://user:password@host:8123/database` is a server, spoken to over HTTP. What may follow behind `?`:

    secure=true              TLS; so does clickhouses://
    verify=false             TLS without checking who the server is
    ca_cert=/path/ca.pem     TLS with a certificate authority of one's own
    connect_timeout=5        seconds to reach the server, and to hand it each piece of an insert
    read_timeout=60          seconds without a sign of life after which an answer is given up
    compression=none         inserts and answers as they are; LZ4 otherwise
    cluster=name             the schema stands on all nodes of this cluster, as the server knows it

One host: where there are several, a load balancer stands before them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from backtrail_store.errors import UnknownStoreScheme

DEFAULT_DATABASE = "backtrail"
CONNECT_SECONDS = 5
READ_SECONDS = 60
_EXAMPLES = "chdb:///path/to/folder or clickhouse://user:password@host:8123/database"
_EMBEDDED_PARAMETERS = ("database",)
_SERVER_PARAMETERS = ("secure", "verify", "ca_cert", "connect_timeout", "read_timeout", "compression", "cluster")
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store is: `folder` for an embedded one, else a server's connection."""

    database: str
    folder: Path | None = None
    host: str = ""
    port: int = 0
    username: str = "default"
    password: str = field(default="", repr=False)
    secure: bool = False
    verify: bool = True
    ca_cert: str | None = None
    connect_timeout: int = CONNECT_SECONDS
    read_timeout: int = READ_SECONDS
    is_compressed: bool = True
    cluster: str = ""


def parse_address(dsn: str, *, cluster: str = "") -> Address:
    """`cluster` counts as if it stood in the address. Raises UnknownStoreScheme, which never quotes a password."""
    try:
        parts = urlsplit(dsn)
    except ValueError as error:
        raise UnknownStoreScheme(f"The store's address cannot be read: {error}.") from None
    if parts.scheme == "chdb":
        return _embedded(dsn, parts, cluster)
    if parts.scheme in ("clickhouse", "clickhouses"):
        return _server(dsn, parts, cluster)
    raise UnknownStoreScheme(f"{without_password(dsn)!r} is no store we know; write {_EXAMPLES}.")


def is_embedded(dsn: str) -> bool:
    return dsn.startswith("chdb:")


def without_password(dsn: str) -> str:
    """For people to read: nothing of what stands before the host."""
    if is_embedded(dsn):
        return dsn
    scheme, separator, rest = dsn.partition("://")
    return scheme + separator + rest.rpartition("@")[2] if separator else dsn.rpartition("@")[2]


def _embedded(dsn: str, parts: SplitResult, cluster: str) -> Address:
    if cluster:
        raise UnknownStoreScheme("An embedded store is in no cluster; leave the cluster's name out, or name a server.")
    parameters = _parameters(parts, _EMBEDDED_PARAMETERS)
    folder = unquote(parts.netloc + parts.path)
    if not folder:
        raise UnknownStoreScheme(f"{dsn!r} names no folder; write chdb:///path/to/folder.")
    return Address(database=_database(parameters.get("database", "")), folder=Path(folder))


def _server(dsn: str, parts: SplitResult, cluster: str) -> Address:
    where = without_password(dsn)
    if parts.fragment or "@" in parts.path + parts.query:  # a password ended too early: nothing of it may be quoted
        raise _unreadable(where)
    parameters = _parameters(parts, _SERVER_PARAMETERS)
    if "," in parts.netloc.rpartition("@")[2]:
        raise UnknownStoreScheme(
            f"{where!r} names several hosts; name one, of a load balancer if there are several servers behind it."
        )
    try:
        port = parts.port
    except ValueError:
        raise _unreadable(where) from None  # what Python says might quote the password
    secure = parts.scheme == "clickhouses" or _truth(parameters, "secure", default=False)
    if not secure and ("verify" in parameters or "ca_cert" in parameters):
        raise UnknownStoreScheme(f"{where!r}: verify and ca_cert are about TLS; write secure=true beside them.")
    return Address(
        database=_database(unquote(parts.path.strip("/"))),
        host=parts.hostname or "127.0.0.1",
        port=port or (8443 if secure else 8123),
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        secure=secure,
        verify=_truth(parameters, "verify", default=True),
        ca_cert=_readable_file(parameters.get("ca_cert")),
        connect_timeout=_seconds(parameters, "connect_timeout", CONNECT_SECONDS),
        read_timeout=_seconds(parameters, "read_timeout", READ_SECONDS),
        is_compressed=_is_compressed(parameters.get("compression", "lz4")),
        cluster=_cluster(cluster, parameters.get("cluster", "")),
    )


def _unreadable(where: str) -> UnknownStoreScheme:
    return UnknownStoreScheme(
        f"The store's address has no port that could be one (what follows @: {where!r}); "
        "in a password write / as %2F, # as %23, ? as %3F, @ as %40 and : as %3A."
    )


def _parameters(parts: SplitResult, known: tuple[str, ...]) -> dict[str, str]:
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    if unknown := sorted({name for name, _ in pairs} - set(known)):
        raise UnknownStoreScheme(
            f"The store's address has an unknown parameter {', '.join(unknown)}; known are {', '.join(known)}."
        )
    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        raise UnknownStoreScheme("The store's address gives a parameter twice.")
    return parameters


def _database(name: str) -> str:
    if not re.fullmatch(r"[\w-]*", name):
        raise UnknownStoreScheme(
            f"{name!r} in the store's address is no name of a database: write letters, digits and _."
        )
    return name or DEFAULT_DATABASE


def _truth(parameters: Mapping[str, str], name: str, *, default: bool) -> bool:
    if name not in parameters:
        return default
    if (found := _TRUTH.get(parameters[name].lower())) is None:
        raise UnknownStoreScheme(f"{name}={parameters[name]!r} in the store's address: write true or false.")
    return found


def _seconds(parameters: Mapping[str, str], name: str, default: int) -> int:
    text = parameters.get(name, str(default))
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 3600:
        raise UnknownStoreScheme(f"{name}={text!r} in the store's address: write whole seconds, 1 to 3600.")
    return int(text)


def _is_compressed(text: str) -> bool:
    if text not in ("lz4", "none"):
        raise UnknownStoreScheme(f"compression={text!r} in the store's address: write lz4 or none.")
    return text == "lz4"


def _cluster(asked: str, written: str) -> str:
    if asked and written and asked != written:
        raise UnknownStoreScheme(f"The store's address names the cluster {written!r}, and the setting {asked!r}.")
    return asked or written


def _readable_file(path: str | None) -> str | None:
    if path is not None and not Path(path).is_file():
        raise UnknownStoreScheme(f"ca_cert={path!r} in the store's address is no file that can be read.")
    return path

"""Where a request may carry its key, over HTTP and over gRPC.

    gate, rpc_gate → **carriers** → keyring

`Authorization: Bearer KEY`, `x-backtrail-key: KEY`, `X-ClickHouse-Key: KEY`, and HTTP Basic with the key as password
and any user name, for clients that know nothing else. Never the address: addresses are logged, kept and passed on.
"""

from base64 import b64decode
from collections.abc import Iterable

_NAMES = ("x-backtrail-key", "x-clickhouse-key")


def carried_key(headers: Iterable[tuple[str, str]]) -> str | None:
    """The key among these headers, their names in lower case; None if there is none at all.

    Of several the one that looks like ours: a proxy in front may take the others for itself.
    """
    found = [key for name, value in headers if (key := _key_in(name, value))]
    return next((key for key in found if key.startswith("bt_")), found[0] if found else None)


def _key_in(name: str, value: str) -> str | None:
    if name in _NAMES:
        return value.strip()
    if name != "authorization":
        return None
    scheme, _, credentials = value.strip().partition(" ")
    match scheme.lower():
        case "bearer":
            return credentials.strip()
        case "basic":
            return _password(credentials.strip())
        case _:
            return value.strip()  # some other scheme, or a key without one: in either case something was given


def _password(credentials: str) -> str:
    try:
        return b64decode(credentials, validate=True).decode("utf-8", "replace").partition(":")[2]
    except ValueError:
        return credentials

"""Without keys a server is open, so it may be reached from its own computer only.

app → **exposure** → CannotStart
"""

from backtrail_server.auth.browsers import is_loopback
from backtrail_server.auth.keyring import KeyRing
from backtrail_server.errors import CannotStart


class OpenToAll(CannotStart):
    """Other computers could read and write everything. Make a key, or listen on loopback."""


def check_exposure(host: str, keyring: KeyRing) -> None:
    """Raises OpenToAll."""
    if keyring.is_empty and not is_loopback(host):
        raise OpenToAll(
            f"{host} is an address that others may reach, and there is no key: everybody could read and write. "
            "Make one with `backtrail-server keys create --project default --scope ingest --scope read --name NAME`, "
            "or set BACKTRAIL_KEY"
        )

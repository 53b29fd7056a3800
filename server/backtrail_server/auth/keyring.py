"""The keys that this process knows, by hash; and the changes that are made through it.

    api_keys → **keyring** → gate, rpc_gate
    admin    → **keyring** → api_keys

A change made here counts at once. Of a store that others write to, all keys are read again every two seconds; while it
is away the last ones known stay good, so that spans go on being taken.
"""

import asyncio
import hmac
import logging
import threading
import time
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from uuid import uuid4

from backtrail_server.auth.grant import ANYBODY, Grant, grant_of
from backtrail_server.auth.refusals import MissingKey, WrongKey
from backtrail_server.auth.secret import digest_of, new_secret, prefix_of
from backtrail_server.beside import meanwhile
from backtrail_store import DEFAULT_PROJECT, SCOPES, ApiKey, Scope, Store

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 2
SETTING = "BACKTRAIL_KEY"  # the name, and the id, of the key that the operator gave at the start


class KeyRing:
    def __init__(self, store: Store, given_secret: str = "") -> None:
        self._store = store
        self._given = [key_of_setting(given_secret)] if given_secret else []
        self._by_digest: dict[bytes, ApiKey] = {}
        self._changing = threading.Lock()
        self._had_keys = False
        self.reload()

    @property
    def is_empty(self) -> bool:
        """No key was ever made: a revoked or expired one does not open the server to everybody again, and nor does a
        store that has lost its keys, or whose replica has not got them yet."""
        return not self._had_keys

    def grant(self, secret: str | None) -> Grant:
        """What this secret may do; what anybody may as long as there are no keys. Raises MissingKey or WrongKey."""
        if self.is_empty:
            return ANYBODY
        if secret is None:
            raise MissingKey
        digest = digest_of(secret)
        key = self._by_digest.get(digest)
        if key is None or not hmac.compare_digest(bytes.fromhex(key.sha256), digest):
            raise WrongKey("the key is not known here")
        if key.revoked_unix_milli is not None:
            raise WrongKey(f"the key {key.prefix}… was revoked")
        if key.expires_unix_milli is not None and key.expires_unix_milli <= milliseconds():
            raise WrongKey(f"the key {key.prefix}… has expired")
        return grant_of(key)

    def list(self, project: str | None = None) -> list[ApiKey]:
        """All keys that ever were, or those of a project; oldest first."""
        return [key for key in self._by_digest.values() if project in (None, key.project)]

    def count_good(self) -> int:
        """Those that open something at this moment."""
        now = milliseconds()
        return sum(
            key.revoked_unix_milli is None and (key.expires_unix_milli is None or key.expires_unix_milli > now)
            for key in self._by_digest.values()
        )

    def create(
        self, project: str, *, name: str, scopes: Iterable[Scope], expires_unix_milli: int | None
    ) -> tuple[ApiKey, str]:
        """The new key and its secret, which nobody can be told again. Raises StoreError."""
        secret = new_secret()
        key = ApiKey(
            id=uuid4().hex[:12],
            project=project,
            name=name,
            prefix=prefix_of(secret),
            sha256=digest_of(secret).hex(),
            scopes=tuple(scope for scope in SCOPES if scope in set(scopes)),
            created_unix_milli=milliseconds(),
            expires_unix_milli=expires_unix_milli,
        )
        self._put(key)
        return key, secret

    def revoke(self, key: ApiKey) -> ApiKey:
        """Counts here before this returns, and in other processes on the same store with their next reading."""
        revoked = replace(key, revoked_unix_milli=key.revoked_unix_milli or milliseconds())
        self._put(revoked)
        return revoked

    def reload(self) -> None:
        """Raises StoreError; the keys known by then stay."""
        with self._changing:
            self._by_digest = {bytes.fromhex(key.sha256): key for key in [*self._store.keys.list(), *self._given]}
            self._had_keys = self._had_keys or bool(self._by_digest)

    def _put(self, key: ApiKey) -> None:
        with self._changing:
            self._store.keys.put(key)
            self._by_digest = {**self._by_digest, bytes.fromhex(key.sha256): key}
            self._had_keys = True


def refreshed(keyring: KeyRing, store: Store) -> AbstractAsyncContextManager[None]:
    """Reads the keys again and again while entered, if others can change them."""
    return meanwhile(_refresh(keyring)) if store.is_shared else nullcontext()


async def _refresh(keyring: KeyRing) -> None:
    was_away = False
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        try:
            await asyncio.to_thread(keyring.reload)
            was_away = False
        except Exception as error:  # whatever it was: a key revoked elsewhere has to be learnt of next time
            if not was_away:
                logger.warning("keys could not be read again; those known stay good: %s", error)
            was_away = True


def key_of_setting(secret: str) -> ApiKey:
    """Good as long as the setting says so; it is kept nowhere."""
    return ApiKey(
        id=SETTING,
        project=DEFAULT_PROJECT,
        name=SETTING,
        prefix=prefix_of(secret),
        sha256=digest_of(secret).hex(),
        scopes=SCOPES,
        created_unix_milli=milliseconds(),
    )


def milliseconds() -> int:
    return time.time_ns() // 1_000_000

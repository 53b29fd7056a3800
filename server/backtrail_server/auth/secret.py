"""What a key looks like: `bt_` and 256 random bits in hexadecimal digits, which a double click selects as a whole.

admin, settings → **secret** → keyring
"""

import re
import secrets
from hashlib import sha256

_MARK = "bt_"
_SECRET = re.compile(r"bt_[0-9a-f]{64}")
_SHOWN = len(_MARK) + 8


def new_secret() -> str:
    return _MARK + secrets.token_hex(32)


def is_secret(text: str) -> bool:
    return _SECRET.fullmatch(text) is not None


def holds_secret(text: str) -> bool:
    return _SECRET.search(text) is not None


def prefix_of(secret: str) -> str:
    """Enough to tell keys apart, and 32 bits of 256 to nobody's help."""
    return secret[:_SHOWN]


def digest_of(secret: str) -> bytes:
    """No slow hash: there is nothing to guess in a random secret, and each request costs one."""
    return sha256(secret.encode("utf-8", "replace")).digest()

"""Where the server is and what it is sent to be let in: checked before anything is sent there.

configure, client → **_endpoint** → connection
"""

import os
from ipaddress import ip_address
from urllib.parse import urlsplit

DEFAULT_ENDPOINT = "http://127.0.0.1:4318"


def checked_endpoint(endpoint: str) -> str:
    """ValueError for what is no URL: `localhost:4318`, say."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"an endpoint is a URL such as {DEFAULT_ENDPOINT}, not {endpoint!r}")
    return endpoint


def is_loopback(url: str) -> bool:
    """Whether it is on this computer, where no proxy from the environment leads.

    Of plain HTTP; TLS looks for its certificates where it looks for proxies.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_here = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        is_here = False
    return is_here and parts.scheme == "http"


def key_headers(api_key: str | None) -> dict[str, str]:
    """The header that carries the key, ours or that of the environment; none without one.

    ValueError for what no header can carry: the HTTP libraries would say the same, and show the key.
    """
    key = (api_key or os.environ.get("BACKTRAIL_API_KEY") or "").strip()
    if not key:
        return {}
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ValueError("the api key has characters that no key has, a line break for example")
    return {"authorization": f"Bearer {key}"}

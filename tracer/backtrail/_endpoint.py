"""Where the server is: its address, checked before anything is sent there, and whether that is this computer.

configure, client → **_endpoint** → connection
"""

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

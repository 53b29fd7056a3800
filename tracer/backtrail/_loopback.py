"""Whether an endpoint is on this computer: no proxy from the environment leads there.

_connection, client → **_loopback**
"""

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Of plain HTTP; TLS looks for its certificates where it looks for proxies."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_here = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        is_here = False
    return is_here and parts.scheme == "http"

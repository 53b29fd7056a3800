"""What a web page must not do with a server that its visitor can reach: everything it could do without being asked.

    gate → **browsers**

A page of another site may send requests to any address, this computer's included. So the request has to be meant for a
name of ours (against names that are made to point here later), to come from nobody's page, our own or one that the
operator named, and to have a content type that a page may not send without asking first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from backtrail_server.auth.refusals import PlainContent, WrongPlace

_CHANGING = ("POST", "PUT", "PATCH", "DELETE")
_UNASKED_TYPES = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True, slots=True)
class Names:
    """By which names the server goes: of a computer's own addresses always, beyond those by setting."""

    is_loopback: bool
    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()

    def check_place(self, headers: Mapping[str, str]) -> None:
        """Raises WrongPlace."""
        host = headers.get("host", "")
        if host and not self._is_ours(host):
            raise WrongPlace(
                f"this server does not go by the name {host[:100]!r}; BACKTRAIL_ALLOWED_HOSTS can say that it does"
            )
        origin = headers.get("origin")
        if origin is not None and not self._is_welcome(origin, host):
            raise WrongPlace(
                f"pages of {origin[:100]!r} may not speak to this server; BACKTRAIL_CORS_ORIGINS can say that they may"
            )

    def _is_ours(self, host: str) -> bool:
        if not self.is_loopback and not self.hosts:
            return True  # a key is asked for there, which no page of another site has
        name = host_name(host)
        return name in self.hosts or (self.is_loopback and is_loopback(name))

    def _is_welcome(self, origin: str, host: str) -> bool:
        return "*" in self.origins or origin in self.origins or (origin != "null" and urlsplit(origin).netloc == host)


def check_content(method: str, headers: Mapping[str, str]) -> None:
    """Raises PlainContent."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if method in _CHANGING and (media_type in _UNASKED_TYPES or (has_body(headers) and not media_type)):
        raise PlainContent(media_type)


def has_body(headers: Mapping[str, str]) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def host_name(host: str) -> str:
    """Without port and brackets; what is no name at all is given back as it is, and is nobody's."""
    try:
        return (urlsplit(f"//{host}").hostname or host).rstrip(".")
    except ValueError:
        return host


def is_loopback(host: str) -> bool:
    """Whether only this computer can reach it."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False

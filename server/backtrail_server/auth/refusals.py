"""Why a request is not let through. Each class says what to answer; the message says what was seen and what to do.

    browsers, gate, rpc_gate ──raise──▶ **refusals** → answers

AccessRefused
├── MissingKey     401  UNAUTHENTICATED
├── WrongKey       401  UNAUTHENTICATED     unknown, expired or revoked
├── NotAllowed     403  PERMISSION_DENIED   a good key, for something else
├── WrongPlace     403  PERMISSION_DENIED   a name or an origin that this server does not go by
├── KeyInAddress   400  INVALID_ARGUMENT
└── PlainContent   415  INVALID_ARGUMENT    what a page of another site could send without asking
"""

from http import HTTPStatus
from typing import ClassVar

import grpc


class AccessRefused(Exception):
    """The caller may not do this. Children carry the answer in both protocols."""

    http_status: ClassVar[HTTPStatus] = HTTPStatus.FORBIDDEN
    grpc_status: ClassVar[grpc.StatusCode] = grpc.StatusCode.PERMISSION_DENIED
    title: ClassVar[str] = "Not allowed"


class MissingKey(AccessRefused):
    http_status = HTTPStatus.UNAUTHORIZED
    grpc_status = grpc.StatusCode.UNAUTHENTICATED
    title = "A key is needed"

    def __init__(self) -> None:
        super().__init__(
            "this server asks for a key: the SDK and the command line take BACKTRAIL_API_KEY, others send it as "
            "`Authorization: Bearer KEY` or `x-backtrail-key: KEY`; `backtrail-server keys create` makes one"
        )


class WrongKey(AccessRefused):
    http_status = HTTPStatus.UNAUTHORIZED
    grpc_status = grpc.StatusCode.UNAUTHENTICATED
    title = "The key is not good"

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; `backtrail-server keys create` makes a new one")


class NotAllowed(AccessRefused):
    """The key is good, but not for this."""


class WrongPlace(AccessRefused):
    """The request was meant for another name, or comes from a page of another site."""


class KeyInAddress(AccessRefused):
    http_status = HTTPStatus.BAD_REQUEST
    grpc_status = grpc.StatusCode.INVALID_ARGUMENT
    title = "A key in the address"

    def __init__(self) -> None:
        super().__init__(
            "there is a key in the address of this request, and addresses are kept in many logs: send it as "
            "`Authorization: Bearer KEY`, and revoke this one"
        )


class PlainContent(AccessRefused):
    http_status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    grpc_status = grpc.StatusCode.INVALID_ARGUMENT
    title = "Not a content type that is read here"

    def __init__(self, content_type: str) -> None:
        super().__init__(f"content type {content_type or 'missing'!r}: send application/json")

"""Why a request is refused. Each class says what to answer; the message says what was seen.

Refusal
├── UndecodableRequest     400  INVALID_ARGUMENT     a retry would fail the same way
├── Disconnected           400                       nobody reads it
├── UnsupportedEncoding    415  INVALID_ARGUMENT     the same, for a media type or a compression
├── RequestTooLarge        413  RESOURCE_EXHAUSTED   without RetryInfo: never retried
└── Overloaded             503  UNAVAILABLE          with Retry-After: the client keeps the batch
    ├── ShareUsedUp
    ├── InboxFull
    ├── DiskFull
    ├── InboxFailing
    └── Failed                                       a fault of ours: 500 and UNKNOWN make clients drop the batch
"""

from http import HTTPStatus
from typing import ClassVar

import grpc


class Refusal(Exception):
    """The request is not taken. Children carry the answer in both protocols."""

    http_status: ClassVar[HTTPStatus]
    grpc_status: ClassVar[grpc.StatusCode]


class UndecodableRequest(Refusal, ValueError):
    """The body is not a request of its signal. A retry would fail the same way."""

    http_status = HTTPStatus.BAD_REQUEST
    grpc_status = grpc.StatusCode.INVALID_ARGUMENT


class Disconnected(Refusal):
    """The client went away in the middle of its body."""

    http_status = HTTPStatus.BAD_REQUEST
    grpc_status = grpc.StatusCode.CANCELLED


class UnsupportedEncoding(Refusal):
    """The content type or content encoding is not one we read."""

    http_status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    grpc_status = grpc.StatusCode.INVALID_ARGUMENT


class RequestTooLarge(Refusal):
    """The body, decompressed, is over the limit. Smaller batches would pass."""

    http_status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    grpc_status = grpc.StatusCode.RESOURCE_EXHAUSTED


class Overloaded(Refusal):
    """There is no room at this moment. The client keeps the batch and comes again."""

    http_status = HTTPStatus.SERVICE_UNAVAILABLE
    grpc_status = grpc.StatusCode.UNAVAILABLE


class ShareUsedUp(Overloaded):
    """This project has more on its way to the disk than it may while others wait for theirs."""


class InboxFull(Overloaded):
    """The inbox may not grow further before the store has taken some of it."""


class DiskFull(Overloaded):
    """The rest of the disk is kept in reserve, or there is none."""


class InboxFailing(Overloaded):
    """The disk failed, or what lies on it is damaged."""


class Failed(Overloaded):
    """Something of ours broke, the log says what. A later attempt may pass."""


class InboxUnusable(Exception):
    """At start: the inbox cannot be opened or was written by a newer version. The message says which."""

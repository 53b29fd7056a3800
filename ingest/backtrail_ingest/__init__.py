"""The way in: OTLP bytes arrive, are checked, kept on disk, acknowledged, and written to the store in batches.

    http_receiver, grpc_receiver → admission → inspection (flatten) → envelope → inbox → **ack**
                                                                                   inbox → writer → store

A span is never a Python object here: requests stay bytes, checked by protobuf's C parser.
"""

from backtrail_ingest.admission import Admission
from backtrail_ingest.inbox.inbox import Inbox, open_inbox
from backtrail_ingest.ledger import Ledger
from backtrail_ingest.receivers.grpc_receiver import GrpcReceiver
from backtrail_ingest.receivers.http_receiver import create_router
from backtrail_ingest.requests.limits import Limits
from backtrail_ingest.writer import Writer, running_writer

__all__ = [
    "Admission",
    "GrpcReceiver",
    "Inbox",
    "Ledger",
    "Limits",
    "Writer",
    "create_router",
    "open_inbox",
    "running_writer",
]

"""The same two looks for log records as for spans.

    receiver → admission → **log_requests** → (flatten) → envelope → inbox → writer

No record is refused for its ids. OTLP has a record with a trace id that is none taken as one without; the store
keeps what it was.
"""

from backtrail_ingest.requests.flatten import rewrite
from backtrail_ingest.requests.inspected import InspectedRequest
from backtrail_ingest.requests.inspection import inspect
from backtrail_ingest.requests.limits import DEFAULT_LIMITS, Limits
from backtrail_ingest.signals import LOGS


def inspect_logs(body: bytes, limits: Limits = DEFAULT_LIMITS) -> InspectedRequest | None:
    """None if the request has to be rewritten: a value lies deeper than a list of texts, as most GenAI events' do."""
    return inspect(body, limits, LOGS)


def rewrite_logs(body: bytes, limits: Limits = DEFAULT_LIMITS) -> InspectedRequest:
    return rewrite(body, limits, LOGS)

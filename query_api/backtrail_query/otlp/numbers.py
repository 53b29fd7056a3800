"""OTLP's enumerations by the names that rows have for them."""

from backtrail_store.rows import SpanKind, StatusCode

KINDS: dict[SpanKind, int] = {
    "unspecified": 0,
    "internal": 1,
    "server": 2,
    "client": 3,
    "producer": 4,
    "consumer": 5,
}
STATUS_CODES: dict[StatusCode, int] = {"unset": 0, "ok": 1, "error": 2}

"""inject() and extract(): a run goes on in another process.

    position → Caller → **inject** → traceparent, baggage → **extract** → JoinedRuntime

The two headers are W3C's, written and read by OpenTelemetry's propagators. A traceparent without our baggage is an
ordinary web request: a run that starts in it is a run of its own, with a link to the request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, TypeVar

from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from backtrail._boundary import complain, never_raise
from backtrail._calls.spec import Entered
from backtrail._contexts.run_context import RunContext
from backtrail._runs.scope import current_position

from .baggage import MAX_BYTES, MAX_MEMBERS, PREFIX, caller_in, entries_of
from .caller import Caller
from .joined import Join, join_run

H = TypeVar("H", bound=MutableMapping[str, str])
Headers = Mapping[str, str] | Mapping[bytes, bytes] | Iterable[tuple[str, str]] | Iterable[tuple[bytes, bytes]]

_TRACE = TraceContextTextMapPropagator()
_BAGGAGE = W3CBaggagePropagator()
# What is not even a member of baggage is left out before OpenTelemetry's parser would write a line about it.
_MEMBER = re.compile(r"[!#$%&'*+.^_`|~\w-]{1,200}=[^\"\\\x00-\x08\x0a-\x1f\x7f-\U0010ffff]{0,3800}", re.ASCII)
_MOST_MEMBERS = 180
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]{0,400})?")


def inject(headers: H) -> H:
    """Write into the headers of a request what lets the other side join this run; outside a run, nothing.

        httpx.post(url, json=question, headers=backtrail.inject({}))

    Call it for each request anew, at the place in the program that makes the request. Baggage that is already in the
    headers, or in OpenTelemetry's context, stays.
    """
    position = current_position.get()
    if position is None:
        return headers
    with never_raise("writing headers"):
        caller = Caller.of(position).redacted(position.runtime.recorder)
        written = headers_of(caller, _value(headers, "baggage"))
        for name in [name for name in headers if name.lower() in written]:
            del headers[name]
        headers.update(written)
    return headers


def headers_of(caller: Caller, baggage_there: str = "") -> dict[str, str]:
    written: dict[str, str] = {}
    _TRACE.inject(written, set_span_in_context(NonRecordingSpan(caller.span), Context()))
    members = [member for member in _others_baggage(baggage_there) if not member.lstrip().startswith(PREFIX)]
    beside = ",".join(members)
    entries = entries_of(caller, room=MAX_BYTES - len(beside) - 1, members=MAX_MEMBERS - len(members))
    if entries is None:
        complain("full baggage", "the baggage beside ours leaves no room: the other side cannot join this run")
    ours = _header(entries or {})
    if beside or ours:
        written["baggage"] = ",".join(filter(None, (beside, ours)))
    return written


def _others_baggage(there: str) -> list[str]:
    """The members in the header, and those of OpenTelemetry's context that are not."""
    members = [member for member in there.split(",") if member.strip()]
    names = {member.split("=")[0].strip() for member in members}
    current = {name: str(value) for name, value in baggage.get_all().items()}
    missing = {name: value for name, value in current.items() if name not in names and not name.startswith(PREFIX)}
    return [*members, *filter(None, _header(missing).split(","))]


def _header(entries: Mapping[str, str]) -> str:
    context = Context()
    for name, value in entries.items():
        context = baggage.set_baggage(name, value, context)
    written: dict[str, str] = {}
    _BAGGAGE.inject(written, context)
    return written.get("baggage", "")


def extract(headers: Headers) -> Incoming:
    """What the headers of a request say of its caller. Within it, agents and steps belong to the caller's run.

        with backtrail.extract(request.headers):
            return answer(question)

    Without a caller of ours in the headers, or with anything else in them, the block changes nothing: a run that
    starts in it is a run of its own. Headers say where a run goes on, and can do nothing else; see docs/processes.md
    on who should be allowed to.
    """
    with never_raise("reading headers"):
        return _read(headers)
    return Incoming(None, Context())


def _read(headers: Headers) -> Incoming:
    traceparent, members = _value(headers, "traceparent").strip(), _value(headers, "baggage")
    context = Context()
    if _TRACEPARENT.fullmatch(traceparent):
        context = _TRACE.extract({"traceparent": traceparent}, context)
    if len(members) > MAX_BYTES:
        return Incoming(None, context)
    read = [member for member in members.split(",") if _MEMBER.fullmatch(member.strip())][:_MOST_MEMBERS]
    entries = baggage.get_all(_BAGGAGE.extract({"baggage": ",".join(read)}, Context()))
    for name, value in entries.items():
        # Ours end here: what goes on from here has a place of its own in the run.
        if not name.startswith(PREFIX):
            context = baggage.set_baggage(name, value, context)
    caller = caller_in(entries, get_current_span(context).get_span_context())
    return Incoming(caller, context)


def _value(headers: Any, name: str) -> str:
    """All values of one header; names are in any case, and ASGI has bytes."""
    items = headers.items() if isinstance(headers, Mapping) else headers
    found = (_text(value) for key, value in items if _text(key).lower() == name)
    return ",".join(value for value in found if value)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else ""


class Incoming(Entered):
    """What `extract` read; `with` or `async with` makes it current. Each block is a joining of its own."""

    def __init__(self, caller: Caller | None, context: Context) -> None:
        super().__init__()
        self._caller = caller
        self._context = context

    @property
    def joins(self) -> bool:
        """Whether there is a run to join."""
        return self._caller is not None

    def __enter__(self) -> RunContext | None:
        join: Join | None = None
        with never_raise("joining a run"):
            join = Join(join_run(self._caller) if self._caller is not None else None, self._context)
            join.enter()
        self.keep(join)
        return join.run_context if join is not None else None

    async def __aenter__(self) -> RunContext | None:
        return self.__enter__()

"""configure(): where spans go, under which name, how surely.

    backtrail.configure(…) → **settings → Recorder** → every run that starts afterwards

OpenTelemetry's own variables are honoured before any of ours; an argument wins over both.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from opentelemetry.sdk.resources import Resource

from . import semconv
from ._beside.beside import Beside
from ._beside.foreign import join_provider, takes_span_processors
from ._boundary import never_raise
from ._contexts.current import get_current_client, set_current_client
from ._delivery.lifetime import at_exit
from ._delivery.limits import DEFAULT_MAX_QUEUE_BYTES, DEFAULT_MAX_SPOOL_BYTES, MIN_QUEUE_BYTES, OnFull
from ._delivery.outlived import stop, stop_after_its_runs
from ._endpoint import DEFAULT_ENDPOINT, checked_endpoint, key_headers
from ._interceptors.interceptors import Interceptor, checked
from ._payloads.capture import Capture, capture_of
from ._payloads.content import DEFAULT_MAX_PAYLOAD_BYTES
from ._payloads.hashing import hashing_of
from ._payloads.redaction import Redact, redaction_of
from ._payloads.roundtrip import roundtrip
from ._processes.patches import remove_patches
from ._spans.recorder import Durability, Recorder, current_recorder, set_current_recorder

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import TracerProvider

    from ._delivery.sampling import Sampling
    from .client import Client

_SECONDS_UNTIL_EXIT = 3_600.0
_settings: dict[str, Any] | None = None


def is_configured() -> bool:
    return _settings is not None


def configured_with() -> dict[str, Any] | None:
    """The arguments of the last call, for a process that has to record in the same way."""
    return _settings


def configure(
    endpoint: str | None = None,
    *,
    service_name: str | None = None,
    api_key: str | None = None,
    service_version: str | None = None,
    durability: Durability = "async",
    max_payload_bytes: int | None = None,
    strict: bool = False,
    tracer_provider: TracerProvider | None = None,
    exporters: Sequence[SpanExporter] = (),
    span_processors: Sequence[SpanProcessor] = (),
    redact: Redact = None,
    hash_key: str | bytes | None = None,
    max_queue_bytes: int = DEFAULT_MAX_QUEUE_BYTES,
    on_full: OnFull = "mark",
    spool_dir: str | os.PathLike[str] | None = None,
    max_spool_bytes: int = DEFAULT_MAX_SPOOL_BYTES,
    capture: Capture = "all",
    track_mutations: bool = False,
    strict_roundtrip: bool = False,
    sampling: Sampling | None = None,
    interceptors: Sequence[Interceptor] = (),
) -> Client:
    """Send every run from now on to a Backtrail server, and return a client for the same server.

        backtrail.configure(service_name="support-bot")

    Without an endpoint: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `OTEL_EXPORTER_OTLP_ENDPOINT`, then
    http://127.0.0.1:4318. `durability="sync"` waits for the server at the end of each step, `"exit"`
    sends at the end of the run. `strict=True` lets recording raise: for tests, not for production.
    `redact` says what is removed before anything is hashed or sent: all that is known by default (keys, tokens, e-mail,
    cards; docs/privacy.md), `False` for nothing, names of rules, a function from str to str, or a list of these.
    `hash_key` keys the hashes of inputs, so that nobody without it can find out by trying what was hashed.
    What waits while the server is away takes `max_queue_bytes` of memory at most. Beyond that spans are lost and
    counted, and their runs say so; with `on_full="block"` the call that would lose one waits for room first, half a
    minute at most in one outage. With `spool_dir`, a folder for one server, undelivered spans go to files there, up to
    `max_spool_bytes`; this process sends them, or the next one with that folder, even after a crash.
    `capture="metadata"` records names, times, sizes, hashes and usage, and nothing of what was said; `"none"` records
    nothing, while contexts and state go on working.
    `track_mutations=True` records as set what the program changes in place after `set_state`; otherwise the next
    checkpoint warns of it. `strict_roundtrip=True` gives live callers the recorded copy of each step's result.
    `sampling` says which runs are sent, whole or not at all; without it, all of them.
    Calling it again with the same arguments changes nothing; with others, it replaces the settings for runs
    that start afterwards.

    `tracer_provider` is the program's own: our spans are shown to its processors, and its spans inside a run
    are recorded. Without it this holds for the global provider that is set when the first run starts; if none is,
    ours is set. `exporters` get our spans too, each behind a bounded queue of its own; `span_processors` are called
    as they are.

    `interceptors` are asked before and after every run, agent and step of the runs that start afterwards.
    """
    arguments = dict(locals())
    # What speaks HTTP takes longer to import than everything else; a program that only imports us does without.
    from ._beside.exporters import batched
    from ._delivery.delivery import OtlpDelivery
    from ._delivery.export import INTERVAL
    from ._delivery.processor import Processor
    from ._delivery.sampling import Sampler, Sampling
    from ._delivery.spool import Spool
    from .client import Client

    global _settings
    listed = {"exporters": exporters, "span_processors": span_processors}
    if wrong := [name for name, each in listed.items() if not isinstance(each, Iterable)]:
        raise TypeError(f"{wrong[0]} is a list, not {listed[wrong[0]]!r}")
    if not isinstance(sampling, Sampling | None):
        raise TypeError(f"sampling is a Sampling, for example Sampling(rate=0.1), not {sampling!r}")
    wishes = redact if redact is None or callable(redact) or isinstance(redact, str | bool) else tuple(redact)
    asked = checked(interceptors)
    # Comparable, and fit to be handed to another process: lists as tuples, paths as text.
    settings = {
        **arguments,
        "exporters": tuple(exporters),
        "span_processors": tuple(span_processors),
        "redact": wishes,
        "spool_dir": spool_dir and os.fspath(spool_dir),
        "interceptors": asked,
    }
    if settings == _settings:
        return get_current_client()
    if durability not in get_args(Durability):
        raise ValueError(f"durability is one of {', '.join(get_args(Durability))}, not {durability!r}")
    if tracer_provider is not None and not takes_span_processors(tracer_provider):
        raise TypeError(f"a tracer_provider has add_span_processor(), and this one has not: {tracer_provider!r}")
    if on_full not in get_args(OnFull):
        raise ValueError(f"on_full is one of {', '.join(get_args(OnFull))}, not {on_full!r}")
    if max_queue_bytes < MIN_QUEUE_BYTES:
        raise ValueError(f"max_queue_bytes is {MIN_QUEUE_BYTES} at least, not {max_queue_bytes!r}")
    headers = key_headers(api_key)
    previous = current_recorder()
    key = hash_key.encode() if isinstance(hash_key, str) else hash_key
    recorder = Recorder(
        resource=_resource(service_name, service_version),
        durability=durability,
        max_payload_bytes=max_payload_bytes
        or int(os.environ.get("BACKTRAIL_MAX_PAYLOAD_BYTES") or DEFAULT_MAX_PAYLOAD_BYTES),
        redaction=redaction_of(wishes, key),
        hashing=hashing_of(key),
        withholds=capture_of(capture) == "metadata",
        track_mutations=track_mutations,
        interceptors=asked,
    )
    is_disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if not is_disabled and capture != "none":
        interval = _SECONDS_UNTIL_EXIT if durability == "exit" else INTERVAL
        processor = Processor(
            OtlpDelivery(_traces_endpoint(endpoint), headers),
            interval=interval,
            max_queue_bytes=max_queue_bytes,
            on_full=on_full,
            spool=Spool(Path(spool_dir), max_spool_bytes) if spool_dir else None,
        )
        recorder.sink = processor
        if sampling is not None:
            recorder.sink = recorder.sampler = Sampler(sampling, processor)
        before = previous.beside.outlets if previous.beside is not None else ()
        outlets = [*batched(exporters, before), *span_processors]
        if outlets:
            recorder.beside = Beside(outlets)
            at_exit(recorder.beside.shutdown)
        # What was registered last is called first: while this one waits, the others deliver too.
        at_exit(recorder.sink.shutdown)
        if tracer_provider is not None:
            join_provider(recorder, tracer_provider)
        recorder.joins_global_provider = tracer_provider is None
    never_raise.is_strict = strict
    roundtrip.is_on = strict_roundtrip
    client = Client(endpoint, api_key)
    set_current_recorder(recorder)
    set_current_client(client)
    _settings = settings
    stop_after_its_runs(previous)
    return client


def flush(timeout: float = 5.0) -> bool:
    """Wait until the server has everything recorded so far; whether it has, within this many seconds.

    For what ends without notice: a child process before `os._exit`, a cloud function before it is frozen.
    """
    recorder = current_recorder()
    deadline = time.monotonic() + timeout
    has_all = recorder.sink is None or recorder.flush(timeout)
    if recorder.beside is not None:
        recorder.beside.flush(max(deadline - time.monotonic(), 0.0))
    return has_all


def shutdown() -> None:
    """Deliver what can be delivered in four seconds, and record nothing more until `configure()` is called again.

    A program that just ends need not call it.
    """
    global _settings
    remove_patches()
    recorder = current_recorder()
    set_current_recorder(Recorder())
    stop(recorder)
    roundtrip.is_on = False
    set_current_client(None)
    _settings = None


def _traces_endpoint(endpoint: str | None) -> str:
    if endpoint is None and (traces := os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")):
        return checked_endpoint(traces)
    base = endpoint or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or DEFAULT_ENDPOINT
    return f"{checked_endpoint(base).rstrip('/')}/v1/traces"


def _resource(service_name: str | None, service_version: str | None) -> Resource:
    given = {semconv.SERVICE_NAME: service_name, semconv.SERVICE_VERSION: service_version}
    return Resource.create({name: value for name, value in given.items() if value is not None})

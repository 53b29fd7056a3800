"""configure(): where spans go, under which name, how surely.

    backtrail.configure(…) → **settings → Recorder** → every run that starts afterwards

OpenTelemetry's own variables are honoured before any of ours; an argument wins over both.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import urlsplit

from opentelemetry.sdk.resources import Resource

from . import semconv
from ._boundary import never_raise
from ._content import DEFAULT_MAX_PAYLOAD_BYTES
from ._current import get_current_client, set_current_client
from ._foreign import join_global_provider
from ._lifetime import at_exit, not_at_exit
from ._recorder import Durability, Recorder, current_recorder, set_current_recorder
from ._run import active_runs

if TYPE_CHECKING:
    from .client import Client

DEFAULT_ENDPOINT = "http://127.0.0.1:4318"

_SECONDS_UNTIL_EXIT = 3_600.0
_settings: tuple[Any, ...] | None = None


def is_configured() -> bool:
    return _settings is not None


def configure(
    endpoint: str | None = None,
    *,
    service_name: str | None = None,
    api_key: str | None = None,
    service_version: str | None = None,
    durability: Durability = "async",
    max_payload_bytes: int | None = None,
    strict: bool = False,
) -> Client:
    """Send every run from now on to a Backtrail server, and return a client for the same server.

        backtrail.configure(service_name="support-bot")

    Without an endpoint: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `OTEL_EXPORTER_OTLP_ENDPOINT`, then
    http://127.0.0.1:4318. `durability="sync"` waits for the server at the end of each step, `"exit"`
    sends at the end of the run. `strict=True` lets recording raise: for tests, not for production.
    Calling it again with the same arguments changes nothing; with others, it replaces the settings for runs
    that start afterwards. A program with a TracerProvider of its own sets that one first: OpenTelemetry keeps
    the first it is given.
    """
    # What speaks HTTP takes longer to import than everything else; a program that only imports us does without.
    from ._delivery import OtlpDelivery
    from ._processor import INTERVAL, Processor
    from .client import Client

    global _settings
    settings = (endpoint, service_name, api_key, service_version, durability, max_payload_bytes, strict)
    if settings == _settings:
        return get_current_client()
    if durability not in get_args(Durability):
        raise ValueError(f"durability is one of {', '.join(get_args(Durability))}, not {durability!r}")
    previous = current_recorder()
    api_key = api_key or os.environ.get("BACKTRAIL_API_KEY")
    recorder = Recorder(
        resource=_resource(service_name, service_version),
        durability=durability,
        max_payload_bytes=max_payload_bytes
        or int(os.environ.get("BACKTRAIL_MAX_PAYLOAD_BYTES") or DEFAULT_MAX_PAYLOAD_BYTES),
    )
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() != "true":
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        interval = _SECONDS_UNTIL_EXIT if durability == "exit" else INTERVAL
        processor = Processor(OtlpDelivery(_traces_endpoint(endpoint), headers), interval=interval)
        recorder.sink = processor
        at_exit(processor.shutdown)
        join_global_provider(recorder)
    never_raise.is_strict = strict
    client = Client(endpoint, api_key)
    set_current_recorder(recorder)
    set_current_client(client)
    _settings = settings
    if not any(run.recorder is previous and run.status == "open" for run in list(active_runs.values())):
        _stop(previous)
    return client


def flush(timeout: float = 5.0) -> bool:
    """Wait until the server has everything recorded so far; whether it has, within this many seconds.

    For what ends without notice: a child process before `os._exit`, a cloud function before it is frozen.
    """
    recorder = current_recorder()
    return recorder.sink is None or recorder.flush(timeout)


def shutdown() -> None:
    """Deliver what can be delivered in four seconds, and record nothing more until `configure()` is called again.

    A program that just ends need not call it.
    """
    global _settings
    _stop(current_recorder())
    set_current_recorder(Recorder())
    set_current_client(None)
    _settings = None


def _stop(recorder: Recorder) -> None:
    if recorder.sink is not None:
        recorder.sink.shutdown()
        not_at_exit(recorder.sink.shutdown)


def _traces_endpoint(endpoint: str | None) -> str:
    if endpoint is None and (traces := os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")):
        return _url(traces)
    base = endpoint or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or DEFAULT_ENDPOINT
    return f"{_url(base).rstrip('/')}/v1/traces"


def _url(endpoint: str) -> str:
    if urlsplit(endpoint).scheme not in ("http", "https"):
        raise ValueError(f"an endpoint is a URL such as {DEFAULT_ENDPOINT}, not {endpoint!r}")
    return endpoint


def _resource(service_name: str | None, service_version: str | None) -> Resource:
    given = {semconv.SERVICE_NAME: service_name, semconv.SERVICE_VERSION: service_version}
    return Resource.create({name: value for name, value in given.items() if value is not None})

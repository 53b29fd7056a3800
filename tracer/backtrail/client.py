"""The query API from Python: runs, traces, checkpoints and state.

your program, cli → **client** → (HTTP) → query API

client = backtrail.Client()
for run in client.runs(status="failed").runs:
    print(run.run_id, run.error_message)
state = client.get_state(run.run_id, at="failure")
"""

import os
import time
import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from backtrail._calls.specs import RunSpec
from backtrail._contexts.call_context import HandedOver
from backtrail._endpoint import DEFAULT_ENDPOINT, checked_endpoint, is_loopback, key_headers
from backtrail._reading.answers import (
    CONTENT_TYPES,
    Answer,
    Checkpoint,
    CheckpointList,
    Conversation,
    LogPage,
    Model,
    ModelList,
    OtlpForm,
    Run,
    RunPage,
    RunStatus,
    RunSummary,
    Signal,
    SpanDetail,
    State,
    StateView,
    Trace,
    TraceKind,
)
from backtrail._replay.replaying import POLL_SECONDS, SETTLE_SECONDS, Replaying
from backtrail._spans.recorder import current_recorder
from backtrail.errors import ApiError, CheckpointGapError, CheckpointNotFoundError, ServerUnreachableError

TIMEOUT_SECONDS = 30.0
FLUSH_SECONDS = 5.0
NOT_THERE_YET = ("urn:backtrail:problem:unknown-run", "urn:backtrail:problem:unknown-span")

A = TypeVar("A", bound=Answer)


class Client(Replaying):
    """One server, one API key. Safe to use from several threads; close it, or use it in a `with` block.

    Without an endpoint: `BACKTRAIL_ENDPOINT`, then `OTEL_EXPORTER_OTLP_ENDPOINT`, then http://127.0.0.1:4318.
    """

    def __init__(self, endpoint: str | None = None, api_key: str | None = None) -> None:
        super().__init__()
        self.endpoint = checked_endpoint(endpoint or default_endpoint()).rstrip("/")
        self._http = httpx.Client(
            base_url=self.endpoint,
            headers=key_headers(api_key),
            timeout=TIMEOUT_SECONDS,
            trust_env=not is_loopback(self.endpoint),
        )
        # The one `configure()` made may be replaced by its next call, with nobody left to close it.
        weakref.finalize(self, self._http.close)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.endpoint}>"

    def start_run(
        self,
        name: str,
        *,
        input: Any = None,
        query: str = "",
        context: HandedOver = None,
        state: dict[str, Any] | None = None,
        conversation_id: str | None = None,
    ) -> RunSpec:
        """Start a run by hand; it is recorded as `configure()` says, as every run of this process.

        async with client.start_run("nightly", input={"day": "Monday"}) as ctx:  # or `with`
            ...
        """
        return RunSpec(
            name,
            input=input,
            query=query,
            context=context,
            state=state,
            conversation_id=conversation_id,
            client=self,
        )

    def runs(
        self,
        *,
        kind: TraceKind = "agent",
        status: RunStatus | None = None,
        start: str | None = None,
        end: str | None = None,
        name: str | None = None,
        service: str | None = None,
        conversation_id: str | None = None,
        user_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RunPage:
        """Runs, newest first; hand `next_cursor` back for the next page.

        `kind="run"` are runs of Backtrail's own only; `"agent"` also traces of others in which an agent or a model was
        at work, and `"any"` every trace.
        """
        filters = {
            "kind": kind,
            "status": status,
            "start": start,
            "end": end,
            "name": name,
            "service": service,
            "conversation_id": conversation_id,
            "user_id": user_id,
            "limit": limit,
            "cursor": cursor,
        }
        return self._get(RunPage, "/api/v1/runs", filters)

    def run(self, run_id: str) -> Run:
        """One run with its agents and its tree."""
        return self._get(Run, f"/api/v1/runs/{run_id}")

    def trace(self, trace_id: str) -> Trace:
        """Every span of a trace, with every attribute."""
        return self._get(Trace, f"/api/v1/traces/{trace_id}")

    def span(self, trace_id: str, span_id: str) -> SpanDetail:
        """One span with what was said in it: messages, tool definitions, a tool's arguments and result."""
        return self._get(SpanDetail, f"/api/v1/traces/{trace_id}/spans/{span_id}")

    def messages(self, trace_id: str) -> Conversation:
        """The conversation of a trace: what each model call was given that no earlier one was, and what it answered."""
        return self._get(Conversation, f"/api/v1/traces/{trace_id}/messages")

    def logs(
        self,
        *,
        trace_id: str | None = None,
        span_id: str | None = None,
        service: str | None = None,
        event_name: str | None = None,
        severity: str | int | None = None,
        text: str | None = None,
        start: str | None = None,
        end: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> LogPage:
        """Log records, newest first; hand `next_cursor` back for the next page.

        `severity` is the least: `"WARN"` or 13. `text` is words that all stand in the body or in one of its messages.
        """
        filters = {
            "trace_id": trace_id,
            "span_id": span_id,
            "service": service,
            "event_name": event_name,
            "severity": severity,
            "text": text,
            "start": start,
            "end": end,
            "limit": limit,
            "cursor": cursor,
        }
        return self._get(LogPage, "/api/v1/logs", filters)

    def models(self, *, start: str | None = None, end: str | None = None) -> list[Model]:
        """Each model that was used in this time, and what it cost; those that wait for a price come first."""
        return self._get(ModelList, "/api/v1/models", {"start": start, "end": end}).models

    def list_checkpoints(self, run_id: str) -> list[Checkpoint]:
        """The points of a run that can be gone back to, in order."""
        return self._get(CheckpointList, f"/api/v1/runs/{run_id}/checkpoints").checkpoints

    def get_state(self, run_id: str, at: str = "end", view: StateView = "actual") -> State:
        """What was known at a point: `failure`, `end`, `seq:N`, `before:KEY`, `after:KEY` or `checkpoint:ID`.

        `actual` is what memory held, `effective` what a resume rebuilds.
        """
        try:
            return self._get(State, f"/api/v1/runs/{run_id}/state", {"at": at, "view": view})
        except ApiError as error:
            if error.status == 409:
                raise CheckpointGapError(str(error)) from error
            if error.status == 404 and at.startswith("checkpoint:") and "checkpoint" in str(error):
                raise CheckpointNotFoundError(str(error)) from error
            raise

    def export_run(self, run_id: str, *, signal: Signal = "traces", form: OtlpForm = "json") -> bytes:
        """The run's spans, or its log records, as the OTLP request that would bring them there."""
        headers = {"Accept": CONTENT_TYPES[form]}
        return self.request("GET", f"/api/v1/runs/{run_id}/otlp", params={"signal": signal}, headers=headers)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """The body of a successful answer. Raises ApiError with the server's own words otherwise.

        What this process recorded is sent before it asks, and waited for as long as it may take to become readable.
        """
        current_recorder().flush(FLUSH_SECONDS)
        given = {name: value for name, value in (params or {}).items() if value is not None}
        patient = {**_patience(), **(headers or {})}
        deadline = time.monotonic() + SETTLE_SECONDS
        response = self._send(method, path, params=given, json=json, headers=patient)
        while _may_become_readable(response) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            response = self._send(method, path, params=given, json=json, headers=patient)
        if not response.is_success:
            raise ApiError(_problem_text(response), status=response.status_code)
        return response.content

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            raise ServerUnreachableError(
                f"no Backtrail server answers at {self.endpoint}: {str(error).rstrip('.') or type(error).__name__}"
            ) from error

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _get(self, answer: type[A], path: str, params: Mapping[str, Any] | None = None) -> A:
        return answer.model_validate_json(self.request("GET", path, params=params))


def default_endpoint() -> str:
    return os.environ.get("BACKTRAIL_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or DEFAULT_ENDPOINT


def _patience() -> dict[str, str]:
    """Of a process that records: the answer may wait until what it has sent before is in it."""
    return {"Prefer": f"wait={SETTLE_SECONDS:.0f}"} if current_recorder().sink is not None else {}


def _may_become_readable(response: httpx.Response) -> bool:
    """Whether an unknown run or span may be this process's own. One that records nothing has none on its way."""
    return (
        response.status_code == 404
        and current_recorder().sink is not None
        and _problem(response).get("type") in NOT_THERE_YET
    )


def _problem_text(response: httpx.Response) -> str:
    detail = _problem(response).get("detail")
    return str(detail) if detail else f"{response.status_code} {response.reason_phrase} from {response.url}"


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


__all__ = ["Client", "Run", "RunSummary", "State", "Trace"]

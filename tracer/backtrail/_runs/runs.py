"""A run's beginning and end: the root span, the first and the last snapshot.

    main(…) → **start_run → finish** → run span, pending row, snapshots

The run's span is the root of a trace of its own; what was current before is linked, not its parent.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Link, get_current_span

from backtrail import semconv
from backtrail._beside.foreign import join_global_provider
from backtrail._boundary import logger, never_raise
from backtrail._contexts.fields import copied, field_defaults, read_field
from backtrail._contexts.remembered import remember
from backtrail._contexts.run_context import RunContext, replaced
from backtrail._delivery.outlived import run_ended
from backtrail._interceptors.intercepted import interceptors_here
from backtrail._interceptors.interceptors import Interceptor
from backtrail._payloads.codec import encode, type_name
from backtrail._payloads.content import limited, payload_text
from backtrail._payloads.recorded_payload import recorded
from backtrail._processes import tasks
from backtrail._processes.patches import install_patches
from backtrail._replay.replayed_run import end_attributes, replay_link, restore_state, start_attributes, take_start
from backtrail._spans.recorder import Recorder, current_recorder
from backtrail._spans.span import error_type
from backtrail._state.checkpoint import snapshot
from backtrail._state.mutations import note_mutations
from backtrail._state.state import RUN_SCOPE
from backtrail._state.state_value import StateValue
from backtrail._version import __version__

from .run import RunRuntime, active_runs

if TYPE_CHECKING:
    from backtrail._streams.chunks import Chunks


WIRE = 1

_has_warned = False


def start_run(
    name: str,
    context: RunContext,
    *,
    handed_over: RunContext | None = None,
    query: str = "",
    input_json: Any = None,
    state: dict[str, Any] | None = None,
    conversation_id: str | None = None,
    entrypoint: str | None = None,
    code_hash: str | None = None,
    lineage_id: str | None = None,
    interceptors: tuple[Interceptor, ...] = (),
) -> RunRuntime:
    """Start the run's span and take the snapshot at seq 0. The caller makes it current."""
    recorder = current_recorder()
    install_patches()
    if recorder.joins_global_provider:
        join_global_provider(recorder)
    _warn_if_unconfigured(recorder.sink is None)
    # The caller's object stays as it is, and another run may be given it at the same time.
    with never_raise("copying a context"):
        query = read_field(context, "query") or query
        context = replaced(context, query=query, metadata=copied(read_field(context, "metadata")))
    replayed = take_start()
    replay = replayed.replay if replayed is not None else None
    if replay is not None:
        lineage_id = replay.bundle.target.lineage_id
    runtime = RunRuntime(recorder, name, context, lineage_id=lineage_id, conversation_id=conversation_id, replay=replay)
    for known in (context, handed_over):
        if known is not None:
            remember(known, runtime.remembered)
    runtime.interceptors = (*interceptors_here(), *interceptors)
    if replayed is not None:
        replayed.run_id = runtime.run_id
    attributes = _start_attributes(runtime, input_json)
    if replay is not None:
        attributes.update(start_attributes(replay))
    if entrypoint is not None:
        attributes[semconv.RUN_ENTRYPOINT] = entrypoint
    if code_hash is not None:
        attributes[semconv.RUN_ENTRY_CODE_HASH] = code_hash
    links = (replay_link(replay),) if replay is not None else ()
    caller = get_current_span().get_span_context()
    if caller.is_valid:
        links = (*links, Link(caller, {semconv.LINK: "caller"}))
    if recorder.sampler is not None and replay is None:
        recorder.sampler.started(runtime.trace_id)
    runtime.span = recorder.start_root(name, runtime.trace_id, attributes, links)
    active_runs[runtime.trace_id] = runtime
    recorder.pending(runtime.span)
    with runtime.lock:
        for key, value in (state or {}).items():
            key = recorder.redaction.name(key)
            runtime.state.set(RUN_SCOPE, key, StateValue.of(value, runtime, None))
        if replay is not None:
            restore_state(runtime.state, replay)
        snapshot(runtime, seq=0)
    return runtime


def _start_attributes(runtime: RunRuntime, input_json: Any) -> dict[str, Any]:
    recorder = runtime.recorder
    redaction, hashing, limit = recorder.redaction, recorder.hashing, recorder.max_payload_bytes
    input_json, input_text = recorded(input_json, recorder)
    recorded_context = context_json(runtime.context, recorder)
    attributes = {
        **runtime.attributes,
        semconv.KIND: "run",
        semconv.PROCESS: runtime.recorder.process,
        semconv.RUN_NAME: runtime.info.name,
        semconv.RUN_LINEAGE_ID: runtime.lineage_id,
        semconv.RUN_INPUT: limited(input_text, limit),
        semconv.RUN_INPUT_HASH: hashing.hash(input_json),
        semconv.RUN_CONTEXT: payload_text(recorded_context, limit),
        semconv.RUN_CONTEXT_HASH: hashing.hash(recorded_context["fields"]),
        semconv.RUN_REDACTION: redaction.description,
        semconv.WIRE: WIRE,
        semconv.SDK_VERSION: __version__,
        semconv.PYTHON: platform.python_version(),
    }
    if hashing.key_id is not None:
        attributes[semconv.RUN_HASH_KEY_ID] = hashing.key_id
    return attributes


def finish(runtime: RunRuntime, result: Any) -> None:
    """The run's function returned."""
    if runtime.status != "open":
        return
    value = runtime.given_result[0] if runtime.given_result is not None else result
    _, text = runtime.payload(value)
    _end(runtime, "completed", {semconv.RUN_RESULT: limited(text, runtime.recorder.max_payload_bytes)})


def finish_stream(runtime: RunRuntime, chunks: Chunks, error: BaseException | None) -> None:
    """The run's function has no more items: they are its result."""
    if runtime.status != "open":
        return
    runtime.span.attributes[semconv.RUN_RESULT] = chunks.result_text()
    if error is not None:
        finish_failed(runtime, error)
    elif runtime.given_result is not None:
        finish(runtime, None)
    else:
        _end(runtime, "completed", {})


def finish_failed(runtime: RunRuntime, error: BaseException) -> None:
    """The run's function raised."""
    if runtime.status != "open":
        return
    encoded = runtime.encode_error(error)
    ending: dict[str, Any] = {
        semconv.RUN_ERROR: payload_text(encoded.json, runtime.recorder.max_payload_bytes),
        semconv.ERROR_TYPE: error_type(error),
    }
    if (step_key := runtime.failed_step_key(error)) is not None:
        ending[semconv.RUN_FAILED_STEP_KEY] = step_key
    runtime.span.set_error(error, is_confidential=runtime.is_confidential(error))
    _end(runtime, "failed" if isinstance(error, Exception) else "cancelled", ending)


def _end(runtime: RunRuntime, status: str, ending: dict[str, Any]) -> None:
    for agent in reversed(runtime.agents):
        # An agent at work in a task of its own ends by itself, be it after the run.
        if agent.status == "open" and not agent.is_at_work:
            agent.finish(None)
    with runtime.lock:
        note_mutations(runtime, None)
        snapshot(runtime)
        seq, number = runtime.tick_and_number()
        runtime.status = status
        ending[semconv.RUN_STATUS] = status
        ending[semconv.RUN_STATE_ROOT] = runtime.state.root
        ending[semconv.RUN_SEQ_MAX] = seq
        ending[semconv.RUN_NUMBER_MAX] = ending[semconv.NUMBER] = number
        ending[semconv.RUN_STEP_COUNT] = runtime.step_count
        if runtime.replay is not None:
            ending.update(end_attributes(runtime.replay))
        sink = runtime.recorder.sink
        if sink is not None and (lost := sink.lost_of(runtime.trace_id)):
            ending[semconv.RUN_LOST] = lost
    runtime.span.attributes.update(ending)
    runtime.span.end()
    if runtime.recorder.sampler is not None:
        span, totals = runtime.span, runtime.totals
        runtime.recorder.sampler.ended(
            runtime.trace_id,
            has_failed=runtime.status != "completed",
            seconds=((span.end_time or span.start_time) - span.start_time) / 1e9,
            tokens=totals.tokens,
            cost_usd=totals.cost_usd,
        )
    runtime.remembered.keep(runtime)
    let_go(runtime)


def let_go(runtime: RunRuntime) -> None:
    """The run is over, or this process's part in it: its event loops and settings are no longer needed for it."""
    tasks.leave_loops(runtime.loops)
    if runtime.recorder.durability != "async":
        runtime.recorder.flush(5.0)
    run_ended(runtime.recorder)


def context_json(context: RunContext, recorder: Recorder) -> dict[str, Any]:
    """A context as data: its fields, and the names of those that are services."""
    names = field_defaults(type(context))
    fields = recorded({name: encode(read_field(context, name)).json for name in names}, recorder)[0]
    opaque = [name for name, encoded in fields.items() if isinstance(encoded, dict) and encoded.get("$t") == "opaque"]
    data = {name: encoded for name, encoded in fields.items() if name not in opaque}
    return {"type": type_name(type(context)), "fields": data, "opaque": opaque}


def _warn_if_unconfigured(has_no_sink: bool) -> None:
    global _has_warned
    from backtrail._configure import is_configured

    if has_no_sink and not _has_warned and not is_configured():
        _has_warned = True
        logger.warning("runs are not recorded: call backtrail.configure() or backtrail.init_local() first")

"""Recorded answer or live call: decided for each step at the moment it is called.

    bundle → **replay** ← the decorators ask for each step; then release → the caller

Nothing here touches the run, the network or a span: it is the matching of calls to records, and what the recorded
outcome means for a resumed run. The server has judged each record already (`replay_policy`); what depends on the
caller's wishes (`allow_unsafe`, `on_undecodable`, `code_change`) is judged here.
"""

import logging
import threading
from dataclasses import dataclass, field
from typing import Any, NoReturn

from backtrail._payloads.decode import Registry
from backtrail._runs.identity import StepCall
from backtrail.errors import ReplayDivergenceError, ReplayError, ResultNotReplayableError, UnknownOutcomeError

from .bundle import Bundle, EffectRecord, StepRecord
from .decision import Decision, Enter, Hang, Live, Match, Raise, ReplayOptions, Served
from .divergence import Divergence, DivergenceKind, ReplayReport, changed_inputs, why_unreplayable
from .frontier import Frontier, Scope
from .hanging import Activity, hang
from .matching import Records
from .release import Release

logger = logging.getLogger("backtrail")

MODES = ("resume",)


@dataclass(slots=True)
class Replay:
    """One replay of one bundle. Safe to call from every thread and event loop of the run."""

    bundle: Bundle
    options: ReplayOptions = field(default_factory=ReplayOptions)
    registry: Registry = field(default_factory=dict)
    report: ReplayReport = field(init=False)
    failure: ReplayError | None = field(init=False, default=None)
    # A dropped stream ends its step wherever memory is collected: in a thread, maybe, that holds the lock as well.
    _lock: threading.RLock = field(init=False, default_factory=threading.RLock)
    _records: Records = field(init=False)
    _effects: dict[str, EffectRecord] = field(init=False)
    _frontier: Frontier = field(init=False, default_factory=Frontier)
    _release: Release = field(init=False, default_factory=Release)
    _activity: Activity = field(init=False, default_factory=Activity)
    _held: tuple[int, str | None] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        mode = self.bundle.target.mode
        if mode not in MODES:
            raise ReplayError(f"replay mode {mode!r} is not available; there is {', '.join(map(repr, MODES))}")
        self._records = Records(self.bundle.steps)
        last = self.bundle.target.seq if self.bundle.target.step_key is None else None
        self._effects = {each.key: each for each in self.bundle.effects if last is None or each.seq <= last}
        self.report = ReplayReport(mode=mode, replay_of=self.bundle.run.run_id, bundle_sha256=self.bundle.sha256)

    def renew(self) -> None:
        """In a forked process: nobody is left to release what was held."""
        self._lock = threading.RLock()
        self._release.renew()
        self._activity.renew()

    # --- asked by the decorators ------------------------------------------------------------------------

    def on_call(self, call: StepCall) -> Decision:
        """Decide what this call is. Raises a ReplayError if the record forbids every answer."""
        with self._lock:
            if self.failure is not None:
                raise self.failure
            self._frontier.entered(call.step_key, call.scope)
            try:
                decision = self._decide(call)
            except ReplayError as exc:
                self.failure = exc  # user code that catches everything must not carry a refused replay on
                raise
            self._count(call, decision)
            return decision

    def on_block(self, call: StepCall) -> None:
        """A step used as a block, or started by hand: its code cannot be skipped, but what is nested in it answers."""
        with self._lock:
            if self.failure is not None:
                raise self.failure
            self._frontier.entered(call.step_key, call.scope)
            record = self._records.exact(call)
            if record is None:
                self._records_miss(call)
            elif record.policy_reason == "unknown_outcome" and not self.options.allows_unsafe(call.name):
                self.failure = self._unknown_outcome(call)
                raise self.failure
            else:
                self._records.take(record, with_nested=False)
            self.report.live += 1
            if record is None or record.replay_policy == "live":
                self._frontier.body_runs(call.step_key)
        self._activity.moved()

    def has_answer(self, call: StepCall) -> bool:
        """Whether `on_call` would answer from the record; asks without using it."""
        with self._lock:
            record = self._records.exact(call)
            return record is not None and record.replay_policy in ("cached", "raise")

    async def released(self, record: StepRecord) -> None:
        """Wait until it is this recorded answer's turn."""
        await self._release.wait(record)
        self._activity.moved()

    def interrupted(self, call: StepCall, record: StepRecord) -> None:
        """A call was cancelled before it had its recorded answer: a timeout shorter than the replay's own pace."""
        with self._lock:
            self._diverged("outcome_changed", call, f"{record.status} in the record, and cancelled now")

    async def hang(self) -> None:
        """Wait to be cancelled. Returns if nothing is left that could do it: then the body has to run."""
        await hang(self._activity, self._release)

    def runs_after_all(self, call: StepCall, record: StepRecord, why: str) -> None:
        """A record was found, and the body runs all the same."""
        logger.warning("step %s runs although it is in the record: %s", call.name, why)
        with self._lock:
            self.report.hits -= 1
            self.report.live += 1
            if record.replay_policy != "hang":
                self.report.saved_tokens -= record.tokens or 0
                self.report.saved_cost_usd -= record.cost_usd or 0.0
            self._frontier.body_runs(call.step_key)
        self._activity.began(call.step_key)

    def undecodable(self, call: StepCall, record: StepRecord, cause: ReplayError) -> None:
        """A recorded answer cannot be given back here. Returns if the caller wants such steps live, else raises."""
        detail = f"the recorded answer of step {call.name!r} cannot be given back: {cause}"
        with self._lock:
            self._diverged("undecodable", call, detail)
            if self.options.on_undecodable != "live":
                self.failure = ResultNotReplayableError(detail, reason=getattr(cause, "reason", "type_unregistered"))
                raise self.failure from cause
        self.runs_after_all(call, record, detail)

    def exhausted(self, call: StepCall, count: int) -> NoReturn:
        """A stream was closed early when it was recorded, and now its consumer asks for more."""
        detail = (
            f"the stream of step {call.name!r} was closed after {count} items when it was recorded, and is read further"
        )
        with self._lock:
            self._diverged("stream_exhausted", call, detail)
            self.failure = ReplayDivergenceError(f"{detail}; what was recorded is not continued with new items")
            raise self.failure

    def ended(self, call: StepCall) -> None:
        """A step has ended; if its body ran, what follows in its scope is past the record."""
        if self._activity.ended(call.step_key):
            with self._lock:
                self._frontier.left(call.step_key)

    def on_effect(self, name: str, scope: Scope, key: str) -> EffectRecord | None:
        """The recorded value of `ctx.now()` and its kind, as long as the scope has not gone past the record."""
        with self._lock:
            self._frontier.opened(scope)
            effect = self._effects.get(key)
            if effect is None or effect.name != name or self._frontier.is_live(scope):
                return None
            return self._effects.pop(key)

    def opened(self, scope: Scope) -> None:
        """A scope was made (a task was created, a branch named)."""
        with self._lock:
            self._frontier.opened(scope)

    def is_live(self, scope: Scope) -> bool:
        """Whether the scope has gone past the record."""
        with self._lock:
            return self._frontier.is_live(scope)

    def state_holds(self, seq: int, run_id: str | None = None) -> None:
        """The state was set to what it was at this seq, of that run: what was written by then is not written again."""
        self._held = (seq, run_id)

    def deltas_of(self, record: StepRecord) -> list[dict[str, Any]]:
        """What the step wrote, and what the state does not hold already."""
        deltas = self._records.deltas_of(record)
        if self._held is None:
            return deltas
        seq, run_id = self._held
        is_held = run_id is None or (record.source is not None and record.source.run_id == run_id)
        return [delta for delta in deltas if delta["seq"] > seq] if is_held else deltas

    def finished(self) -> ReplayReport:
        """The run is over: what was never asked for is reported too."""
        with self._lock:
            for record in self._records.leftover():
                detail = f"{record.name!r} is in the record and was never called"
                self.report.divergences.append(
                    Divergence(kind="unconsumed_step", name=record.name, step_key=record.step_key, detail=detail)
                )
            return self.report

    # --- the decision -----------------------------------------------------------------------------------

    def _decide(self, call: StepCall) -> Decision:
        record, match = self._match(call)
        if record is None:
            self._records_miss(call)
            return Live()
        if record.input_hash != call.input_hash and match == "exact":
            self._diverged("input_changed", call, f"same key, but {changed_inputs(record.input, call.input)}")
        decision = self._by_outcome(call, record, match)
        self._records.take(record, with_nested=not isinstance(decision, Enter))
        return decision

    def _match(self, call: StepCall) -> tuple[StepRecord | None, Match]:
        record = self._records.exact(call)
        if record is not None:
            return record, "exact"
        record = self._records.loose(call, self._frontier)
        if record is not None:
            logger.warning("%s is not where it was recorded; the record of equal input answers it", call.name)
            self._diverged("order_changed", call, "matched by agent, name and input: its scope has changed", record)
            return record, "loose"
        nearest = self._records.nearest(call)
        if self.options.on_input_change == "reuse" and nearest is not None and self._is_same_place(call, nearest):
            self._diverged("input_changed", call, changed_inputs(nearest.input, call.input), nearest)
            return nearest, "nearest"
        return None, "exact"

    def _records_miss(self, call: StepCall) -> None:
        if self._frontier.is_live(call.scope):
            return  # past the record: new work is what a resumed run is for
        if self.bundle.run.status != "completed" and self._records.is_used_up(call.scope):
            return  # the record of this scope was cut off here by what ended the run
        nearest = self._records.nearest(call)
        if nearest is None or not self._is_same_place(call, nearest):
            self._diverged("missing_step", call, "there is no record of this call", nearest)
            return
        detail = changed_inputs(nearest.input, call.input)
        self._diverged("input_changed", call, detail, nearest)
        if self.options.on_input_change == "raise":
            raise ReplayDivergenceError(f"step {call.name!r} was called differently from its record: {detail}")

    def _is_same_place(self, call: StepCall, record: StepRecord) -> bool:
        same_scope = call.scope == record.scope_text
        return same_scope and record.agent_key == call.agent_key and record.input_hash != call.input_hash

    def _by_outcome(self, call: StepCall, record: StepRecord, match: Match) -> Decision:
        match record.replay_policy:
            case "enter":
                return Enter(record)
            case "live":
                return Live()
            case "refuse":
                return self._refused(call, record)
            case "cached" if self._has_new_code(call, record):
                return Live()
            case "cached":
                return Served(record, match)
            case "raise":
                return Raise(record, match)
            case "hang":
                return Hang(record, match)

    def _refused(self, call: StepCall, record: StepRecord) -> Decision:
        if record.policy_reason == "unknown_outcome":
            if self.options.allows_unsafe(call.name):
                return Live()
            raise self._unknown_outcome(call)
        detail = f"the result of step {call.name!r} cannot be replayed: {why_unreplayable(record.policy_reason)}"
        self._diverged("undecodable", call, detail, record)
        if self.options.on_undecodable == "live":
            return Live()
        advice = "Replay with on_undecodable='live' (--on-undecodable live) to run such steps again."
        raise ResultNotReplayableError(f"{detail}. {advice}", reason=record.policy_reason)

    def _unknown_outcome(self, call: StepCall) -> UnknownOutcomeError:
        return UnknownOutcomeError(
            f"step {call.name!r} has side effects and was cut off: nobody knows whether they happened. "
            f"Look, then replay with allow_unsafe=[{call.name!r}] (--allow-unsafe {call.name}) to run it again."
        )

    def _has_new_code(self, call: StepCall, record: StepRecord) -> bool:
        if call.code_hash is None or record.code_hash is None or call.code_hash == record.code_hash:
            return False
        detail = f"the code of step {call.name!r} has changed since it was recorded"
        self._diverged("code_changed", call, detail, record)
        if self.options.code_change == "raise":
            raise ReplayDivergenceError(detail)
        if self.options.code_change == "warn":
            logger.warning("%s; its recorded result is used", detail)
        return self.options.code_change == "rerun"

    # --- the account ------------------------------------------------------------------------------------

    def _count(self, call: StepCall, decision: Decision) -> None:
        match decision:
            case Live():
                self.report.live += 1
                self._frontier.body_runs(call.step_key)
                self._activity.began(call.step_key)
            case Enter():
                self.report.live += 1
                self._activity.began(call.step_key)
            case Served(record) | Raise(record):
                self.report.hits += 1
                self.report.saved_tokens += record.tokens or 0
                self.report.saved_cost_usd += record.cost_usd or 0.0
                self._activity.moved()
            case Hang():
                self.report.hits += 1

    def _diverged(self, kind: DivergenceKind, call: StepCall, detail: str, nearest: StepRecord | None = None) -> None:
        self.report.divergences.append(
            Divergence(
                kind=kind,
                name=call.name,
                step_key=call.step_key,
                detail=detail,
                nearest_step_key=nearest.step_key if nearest is not None else None,
            )
        )

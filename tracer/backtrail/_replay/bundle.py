"""A recorded run, as the server hands it out for a replay: checked before anything of it is believed.

    POST /api/v1/runs/{run_id}/replay-bundle → **bundle** → replay → the decorators

A bundle may come from a file of unknown origin. Size and depth are checked before it is parsed into objects,
its digest before its shape, its shape before its content; nothing in it names code to import or to run.
"""

from collections.abc import Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import from_json, to_json

from backtrail.canonical import canonical_text
from backtrail.errors import ReplayError

SCHEMA = "replay-bundle/1"
MAX_PAGE_BYTES = 64 << 20  # four times what the server aims at: one step alone may be longer than a page
MAX_FILE_BYTES = 1 << 30

Policy = Literal["cached", "raise", "hang", "live", "enter", "refuse"]
StepStatus = Literal["completed", "failed", "cancelled", "incomplete"]
TraceId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
SpanId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
RecordedStatus = Literal["completed", "failed", "cancelled", "running", "incomplete"]


class Part(BaseModel):
    """A newer server may add fields; it may not change the ones below within one schema version."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Source(Part):
    """Where a step really ran: one hop, however many replays served it since."""

    run_id: TraceId
    span_id: SpanId


class AttemptRecord(Part):
    n: int
    status: str
    error: JsonValue = None


class StreamRecord(Part):
    """What came out of a stream, and who closed it. `thrown` counts the items after which it survived an error."""

    count: int
    complete: bool
    closed_by: Literal["end", "consumer", "error", "cancel"]
    chunks: list[JsonValue]
    thrown: list[int] = Field(default_factory=list)


class StepRecord(Part):
    """What one call of a step left behind, and what a replay has to do when the call recurs."""

    step_key: str
    loose_key: str
    agent_key: str
    agent_name: str = ""
    scope: list[list[JsonValue]]
    name: str
    kind: str
    occurrence: int
    explicit_key: str | None = None
    version: str | None = None
    generation: int = 0
    seq_start: int
    seq_end: int | None
    end_batch: int | None
    status: StepStatus
    handled: bool | None = None
    replay_policy: Policy
    policy_reason: str
    input_hash: str
    hash_alg: str
    input: JsonValue = None
    result: JsonValue = None
    result_type: str | None = None
    result_sha256: str | None = None
    result_bytes: int | None = None
    error: JsonValue = None
    stream: StreamRecord | None = None
    attempts: list[AttemptRecord] = Field(default_factory=list)
    deltas: list[dict[str, JsonValue]] = Field(default_factory=list)
    side_effect: str = "none"
    idempotency_key: str | None = None
    code_hash: str | None = None
    tokens: int | None = None
    cost_usd: float | None = None
    source: Source | None

    @cached_property
    def scope_text(self) -> str:
        return canonical_text(self.scope)

    @property
    def enclosing_step_key(self) -> str | None:
        """The step in whose body this call was made; None if it was made outside every step."""
        if self.scope and self.scope[0][:1] == ["step"] and len(self.scope[0]) == 2:
            return str(self.scope[0][1])
        return None

    @property
    def is_elsewhere(self) -> bool:
        """Whether another process called it, one that a replay in this process does not reach."""
        return any(frame[:1] in (["remote"], ["process"]) for frame in self.scope)

    @property
    def release_order(self) -> tuple[int, int]:
        """Newest generation first: what only an ancestor knows came later than what this run reached."""
        return (-self.generation, self.end_batch or 0)


class EffectRecord(Part):
    key: str
    seq: int
    scope: list[list[JsonValue]]
    name: str
    occurrence: int
    value: JsonValue


class AgentRecord(Part):
    agent_key: str
    path: JsonValue
    name: str
    parent: str | None
    depth: int
    is_default: bool
    status: str


class ContextRecord(Part):
    type: str
    fields: dict[str, JsonValue]
    opaque: list[str]


class RunRecord(Part):
    run_id: TraceId
    root_span_id: SpanId
    name: str
    status: RecordedStatus
    input: JsonValue
    result: JsonValue = None
    error: JsonValue = None
    entrypoint: str | None = None
    entry_code_hash: str | None = None
    service_version: str | None = None
    sdk_version: str | None = None
    python: str | None = None
    context: ContextRecord | None = None
    context_hash: str | None = None
    redaction: str | None = None
    hash_key_id: str | None = None
    conversation_id: str | None = None
    initial_state: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)


class LineageEntry(Part):
    run_id: str
    mode: str | None
    generation: int
    status: str
    at: str | None


class Target(Part):
    mode: str
    at: str
    step_key: str | None
    seq: int | None
    lineage_id: str
    reuse: Literal["matching", "prefix"]


class Page(Part):
    next: str | None


class Bundle(Part):
    """Everything a replay needs to know of the recorded run; `sha256` names these bytes."""

    run: RunRecord
    lineage: list[LineageEntry]
    target: Target
    completeness: dict[str, JsonValue]
    agents: list[AgentRecord]
    steps: list[StepRecord]
    effects: list[EffectRecord]
    state: JsonValue = None
    checkpoints: list[dict[str, JsonValue]] = Field(default_factory=list)
    page: Page
    sha256: str

    @property
    def generation(self) -> int:
        return max((entry.generation for entry in self.lineage), default=0)

    @property
    def root_run_id(self) -> str:
        return min(self.lineage, key=lambda entry: entry.generation).run_id if self.lineage else self.run.run_id


def read_bundle(source: str | Path | bytes) -> Bundle:
    """A whole bundle from a saved file or from its bytes."""
    body = source if isinstance(source, bytes) else _file_bytes(Path(source))
    bundle = parse_page(body, limit=MAX_FILE_BYTES)
    if bundle.page.next is not None:
        raise ReplayError("this is only the first page of a bundle: save what get_replay_bundle() returns")
    return bundle


def save_bundle(bundle: Bundle, path: str | Path) -> None:
    """Write a bundle so that `replay(bundle=path)` works without a server."""
    Path(path).write_bytes(_sealed(bundle.model_dump(mode="json")))


def join_pages(pages: Sequence[Bundle]) -> Bundle:
    """The pages of one answer as one bundle, sealed anew."""
    first, rest = pages[0], pages[1:]
    if any(page.run.run_id != first.run.run_id or page.target != first.target for page in rest):
        raise ReplayError(f"run {first.run.run_id} changed while its bundle was being read; ask again")
    if not rest:
        return first
    content = first.model_dump(mode="json")
    content["steps"] += [step for page in rest for step in page.model_dump(mode="json")["steps"]]
    content["page"] = {"next": None}
    return parse_page(_sealed(content), limit=MAX_FILE_BYTES)


def parse_page(body: bytes, *, limit: int = MAX_PAGE_BYTES) -> Bundle:
    """One page, believed only after size, depth, digest, shape and lengths were right, in this order."""
    if len(body) > limit:
        raise ReplayError(f"the bundle has {len(body)} bytes, more than the {limit} that are read")
    try:
        content = from_json(body, allow_inf_nan=False)  # its parser ends at 200 levels instead of the stack
    except ValueError as exc:
        raise ReplayError(f"the bundle is not readable JSON: {exc}") from exc
    _check_schema(content)
    _check_digest(content)
    try:
        bundle = Bundle.model_validate(content)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ReplayError(f"the bundle has the wrong shape at {where}: {first['msg']}") from exc
    for step in bundle.steps:
        _check_result(step)
    return bundle


def _check_schema(content: object) -> None:
    if not isinstance(content, dict):
        raise ReplayError(f"a bundle is a JSON object, this is {type(content).__name__}")
    schema = content.get("schema")
    if schema != SCHEMA:
        raise ReplayError(f"the bundle's schema is {schema!r}; this version of backtrail reads {SCHEMA!r}")


def _check_digest(content: dict[str, object]) -> None:
    stated = content.get("sha256")
    actual = digest({key: value for key, value in content.items() if key != "sha256"})
    if stated != actual:
        raise ReplayError(f"the bundle was changed or cut: its sha256 is {actual}, it says {stated!r}")


def _check_result(step: StepRecord) -> None:
    if step.result_sha256 is None:
        return
    text = canonical_text(step.result).encode()
    if len(text) != step.result_bytes or sha256(text).hexdigest() != step.result_sha256:
        raise ReplayError(f"the result of step {step.name!r} ({step.step_key}) is not what its length and digest say")


def digest(content: dict[str, object]) -> str:
    return sha256(canonical_text(content).encode()).hexdigest()


def _sealed(content: dict[str, object]) -> bytes:
    unsealed = {"schema": SCHEMA, **{key: value for key, value in content.items() if key != "sha256"}}
    return to_json({**unsealed, "sha256": digest(unsealed)})


def _file_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ReplayError(f"{path} has {size} bytes, more than the {MAX_FILE_BYTES} that are read")
        return path.read_bytes()
    except OSError as exc:
        raise ReplayError(f"cannot read the bundle {path}: {exc.strerror}") from exc

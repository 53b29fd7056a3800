"""Attribute names, grouped as in their specifications: the words every part of Backtrail shares.

    SDK → (OTLP) → **these names** → spans_view.sql → query API

`gen_ai.*` and its neighbours follow OpenTelemetry's GenAI conventions; `backtrail.*` is ours and exists
where the conventions have no word. A value is a string unless the comment says otherwise; *payload*
marks JSON text in the codec's encoding, which the server keeps apart from the other attributes.
"""

# --- Resource (OpenTelemetry) ---------------------------------------------------------------------------
SERVICE_NAME = "service.name"
SERVICE_VERSION = "service.version"
DEPLOYMENT_ENVIRONMENT_NAME = "deployment.environment.name"
VCS_REF_HEAD_REVISION = "vcs.ref.head.revision"

# --- Generative AI (OpenTelemetry) ----------------------------------------------------------------------
GEN_AI_OPERATION_NAME = "gen_ai.operation.name"
GEN_AI_PROVIDER_NAME = "gen_ai.provider.name"
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"
GEN_AI_RESPONSE_MODEL = "gen_ai.response.model"
GEN_AI_RESPONSE_ID = "gen_ai.response.id"
GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"  # double, seconds
GEN_AI_RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"  # list of strings
GEN_AI_AGENT_NAME = "gen_ai.agent.name"
GEN_AI_CONVERSATION_ID = "gen_ai.conversation.id"
GEN_AI_TOOL_NAME = "gen_ai.tool.name"
GEN_AI_TOOL_CALL_ID = "gen_ai.tool.call.id"
GEN_AI_TOOL_CALL_ARGUMENTS = "gen_ai.tool.call.arguments"  # payload
GEN_AI_TOOL_CALL_RESULT = "gen_ai.tool.call.result"  # payload
GEN_AI_TOOL_DEFINITIONS = "gen_ai.tool.definitions"  # payload
GEN_AI_SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"  # payload
GEN_AI_INPUT_MESSAGES = "gen_ai.input.messages"  # payload
GEN_AI_OUTPUT_MESSAGES = "gen_ai.output.messages"  # payload
GEN_AI_USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"  # int, cached tokens included
GEN_AI_USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"  # int, reasoning included
GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens"  # int
GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS = "gen_ai.usage.cache_write.input_tokens"  # int
GEN_AI_USAGE_REASONING_OUTPUT_TOKENS = "gen_ai.usage.reasoning.output_tokens"  # int
GEN_AI_USAGE_COST = "gen_ai.usage.cost"  # double, US dollars, as the sender reckons it

USER_ID = "user.id"
SESSION_ID = "session.id"  # read as an alias of gen_ai.conversation.id
ERROR_TYPE = "error.type"

# --- Every Backtrail span -------------------------------------------------------------------------------
KIND = "backtrail.kind"  # run, agent, step, attempt, state, checkpoint, effect, process, pending
PROCESS = "backtrail.process"  # 8 hex digits, one value for each process
NUMBER = "backtrail.number"  # int: 1, 2, 3 … for each run and process; final spans only
DIGESTS = "backtrail.digests"  # JSON: {attribute: [bytes, sha256]} of the span's payloads
WITHHELD = "backtrail.withheld"  # JSON: {attribute: [bytes, hash]} of what capture="metadata" kept away

# --- Every span within a run, other instrumentations' too: the lineage ----------------------------------
QUERY = "backtrail.query"  # the user's original words, kept through every delegation
TASK_ID = "backtrail.task.id"
TASK_PARENT_ID = "backtrail.task.parent_id"
TASK_CHAIN = "backtrail.task.chain"  # list of strings, oldest first, this task not included
DEPTH = "backtrail.depth"  # int: delegations between the run and here
MAX_DEPTH = "backtrail.max_depth"  # int: how deep the user's context allows it to be
RETRY_COUNT = "backtrail.retry_count"  # int
DEADLINE = "backtrail.deadline"  # RFC 3339
CALLER_SEQ = "backtrail.caller.seq"  # int: where a process joined the run, the run's clock at the call
LINEAGE_CUT = "backtrail.lineage_cut"  # bool: something of it was too long for another process's headers
AGENT_KEY = "backtrail.agent.key"
AGENT_PATH = "backtrail.agent.path"  # JSON: [[name, ordinal], …]

# --- Run ------------------------------------------------------------------------------------------------
RUN_NAME = "backtrail.run.name"
RUN_STATUS = "backtrail.run.status"  # completed, failed, cancelled
RUN_LINEAGE_ID = "backtrail.run.lineage_id"
RUN_INPUT = "backtrail.run.input"  # payload
RUN_INPUT_HASH = "backtrail.run.input_hash"
RUN_RESULT = "backtrail.run.result"  # payload
RUN_ERROR = "backtrail.run.error"  # payload
RUN_CONTEXT = "backtrail.run.context"  # payload
RUN_CONTEXT_HASH = "backtrail.run.context_hash"
RUN_ENTRYPOINT = "backtrail.run.entrypoint"  # module:qualname
RUN_ENTRY_CODE_HASH = "backtrail.run.entry_code_hash"
RUN_FAILED_STEP_KEY = "backtrail.run.failed_step_key"
RUN_STATE_ROOT = "backtrail.run.state_root"
RUN_SEQ_MAX = "backtrail.run.seq_max"  # int
RUN_NUMBER_MAX = "backtrail.run.number_max"  # int
RUN_STEP_COUNT = "backtrail.run.step_count"  # int
RUN_REDACTION = "backtrail.run.redaction"  # names of the rules that were on, or none
RUN_HASH_KEY_ID = "backtrail.run.hash_key_id"  # tells hash keys apart; absent without one
RUN_LOST = "backtrail.run.lost"  # int: spans the SDK had to drop; on the run, and on a process record
WIRE = "backtrail.wire"  # int: version of these conventions
SDK_VERSION = "backtrail.sdk.version"
PYTHON = "backtrail.python"

# --- Run, when it is a replay ---------------------------------------------------------------------------
REPLAY_OF = "backtrail.replay.of"  # run id replayed
REPLAY_ROOT = "backtrail.replay.root"  # first run of the lineage
REPLAY_MODE = "backtrail.replay.mode"
REPLAY_AT = "backtrail.replay.at"
REPLAY_BUNDLE_SHA256 = "backtrail.replay.bundle_sha256"
REPLAY_GENERATION = "backtrail.replay.generation"  # int
REPLAY_HITS = "backtrail.replay.hits"  # int
REPLAY_LIVE = "backtrail.replay.live"  # int
REPLAY_DIVERGENCES = "backtrail.replay.divergences"  # int
REPLAY_SAVED_TOKENS = "backtrail.replay.saved_tokens"  # int
REPLAY_SAVED_COST_USD = "backtrail.replay.saved_cost_usd"  # double
LINK = "backtrail.link"  # on a link: replay_of, caller, source

# --- Agent ----------------------------------------------------------------------------------------------
AGENT_NAME = "backtrail.agent.name"
AGENT_CONFIG_ID = "backtrail.agent.config_id"
AGENT_PARENT_KEY = "backtrail.agent.parent_key"
AGENT_STATUS = "backtrail.agent.status"
AGENT_METADATA = "backtrail.agent.metadata"  # payload
AGENT_INPUT = "backtrail.agent.input"  # payload
AGENT_RESULT = "backtrail.agent.result"  # payload
AGENT_ERROR = "backtrail.agent.error"  # payload
AGENT_IS_DEFAULT = "backtrail.agent.is_default"  # bool
AGENT_DEPTH = "backtrail.agent.depth"  # int
AGENT_SEQ_START = "backtrail.agent.seq_start"  # int
AGENT_SEQ_END = "backtrail.agent.seq_end"  # int
AGENT_NUMBER_MAX = "backtrail.agent.number_max"  # int: on the top agent of a process that joined the run

# --- Step -----------------------------------------------------------------------------------------------
STEP_KEY = "backtrail.step.key"
STEP_LOOSE_KEY = "backtrail.step.loose_key"
STEP_NAME = "backtrail.step.name"
STEP_KIND = "backtrail.step.kind"  # llm, tool, retriever, embedding, human, custom
STEP_SCOPE = "backtrail.step.scope"  # JSON: list of frames
STEP_EXPLICIT_KEY = "backtrail.step.explicit_key"
STEP_VERSION = "backtrail.step.version"
STEP_CODE_HASH = "backtrail.step.code_hash"
STEP_STATUS = "backtrail.step.status"  # completed, failed, cancelled
STEP_INPUT_HASH = "backtrail.step.input_hash"
STEP_HASH_ALG = "backtrail.step.hash_alg"
STEP_HASH_EXCLUDED = "backtrail.step.hash_excluded"  # JSON: parameter names
STEP_INPUT = "backtrail.step.input"  # payload
STEP_RESULT = "backtrail.step.result"  # payload
STEP_RESULT_TYPE = "backtrail.step.result_type"
STEP_STREAM = "backtrail.step.stream"  # payload: {count, complete, closed_by, chunks, t_ms}
STEP_ERROR = "backtrail.step.error"  # payload
STEP_DELTAS = "backtrail.step.deltas"  # payload
STEP_SIDE_EFFECT = "backtrail.step.side_effect"  # none, idempotent, unsafe
STEP_IDEMPOTENCY_KEY = "backtrail.step.idempotency_key"
STEP_UNREPLAYABLE_REASON = "backtrail.step.unreplayable_reason"
STEP_OCCURRENCE = "backtrail.step.occurrence"  # int
STEP_SEQ_START = "backtrail.step.seq_start"  # int
STEP_SEQ_END = "backtrail.step.seq_end"  # int
STEP_END_BATCH = "backtrail.step.end_batch"  # int
STEP_ATTEMPTS = "backtrail.step.attempts"  # int
STEP_TOKENS = "backtrail.step.tokens"  # int: a total the user gave, when no usage is known
STEP_COST_USD = "backtrail.step.cost_usd"  # double: a cost the user gave
STEP_REPLAYABLE = "backtrail.step.replayable"  # bool
STEP_AMBIGUOUS = "backtrail.step.ambiguous"  # bool
STEP_WEAK_SCOPE = "backtrail.step.weak_scope"  # bool
STEP_REPLAYED = "backtrail.step.replayed"  # bool: answered from the record
STEP_MATCH = "backtrail.step.match"  # exact, loose, nearest, override
STEP_SOURCE = "backtrail.step.source"  # run_id/span_id where it really ran

# --- Attempt: one try of a step that has retries --------------------------------------------------------
ATTEMPT_N = "backtrail.attempt.n"  # int, from 1
ATTEMPT_STATUS = "backtrail.attempt.status"  # completed, failed, cancelled
ATTEMPT_ERROR = "backtrail.attempt.error"  # payload
ATTEMPT_BACKOFF_MS = "backtrail.attempt.backoff_ms"  # int: how long it was waited before this try
ATTEMPT_GAVE_UP = "backtrail.attempt.gave_up"  # why no other try followed: exhausted, not_retryable, deadline

# --- Run, agent or step that an interceptor stopped -----------------------------------------------------
INTERCEPTED_BY = "backtrail.intercepted.by"  # the interceptor's class
INTERCEPTED_PHASE = "backtrail.intercepted.phase"  # before_run, after_run, before_agent and so on
INTERCEPTED_REASON = "backtrail.intercepted.reason"

# --- State, checkpoints, effects ------------------------------------------------------------------------
STATE_DELTAS = "backtrail.state.deltas"  # payload
STATE_ROOT = "backtrail.state.root"
STATE_REASON = "backtrail.state.reason"  # set, fork, restore
STATE_SEQ = "backtrail.state.seq"  # int
CHECKPOINT_ID = "backtrail.checkpoint.id"
CHECKPOINT_NAME = "backtrail.checkpoint.name"
CHECKPOINT_VALUES = "backtrail.checkpoint.values"  # payload: {scope: {key: value}}
CHECKPOINT_EXTRA = "backtrail.checkpoint.extra"  # payload
CHECKPOINT_ROOT = "backtrail.checkpoint.root"
CHECKPOINT_AFTER_STEP_KEY = "backtrail.checkpoint.after_step_key"
CHECKPOINT_OPEN_STEPS = "backtrail.checkpoint.open_steps"  # JSON: step keys
CHECKPOINT_SEQ = "backtrail.checkpoint.seq"  # int
CHECKPOINT_OCCURRENCE = "backtrail.checkpoint.occurrence"  # int
CHECKPOINT_PART = "backtrail.checkpoint.part"  # int, from 1
CHECKPOINT_PARTS = "backtrail.checkpoint.parts"  # int
CHECKPOINT_AUTO = "backtrail.checkpoint.auto"  # bool
EFFECT_KEY = "backtrail.effect.key"
EFFECT_NAME = "backtrail.effect.name"
EFFECT_SCOPE = "backtrail.effect.scope"  # JSON: list of frames
EFFECT_VALUE = "backtrail.effect.value"  # payload
EFFECT_SEQ = "backtrail.effect.seq"  # int
EFFECT_OCCURRENCE = "backtrail.effect.occurrence"  # int

# --- Pending rows: what stands in for a span that has not ended -----------------------------------------
PENDING_OF = "backtrail.pending.of"  # span id of the real span
PENDING_PARENT = "backtrail.pending.parent"  # its parent's span id, zeros for a root
PENDING_KIND = "backtrail.pending.kind"  # its backtrail.kind

# --- W3C baggage, from a caller to the process that goes on; the lineage goes under its own names ---------
CALLER_SCOPE = "backtrail.caller.scope"  # JSON: the frames the other process begins in

# --- Set by the server ----------------------------------------------------------------------------------
MISSING_PAYLOADS = "backtrail.missing_payloads"  # in an export: attributes whose texts were no longer kept
FLAGGED = "backtrail.flagged"  # what was mended on the way in, e.g. "end before start"

-- One row a span: OpenTelemetry's own columns and, promoted on every span so that no question needs a join, what
-- agents are asked about. A pending row (version 0) stands in until the final one (version = end time) replaces it;
-- both share the whole sorting key, because a pending row carries the real start time.
-- A project's weeks are partitions of their own: what is too old is dropped as files, which works on a full disk too.
CREATE TABLE IF NOT EXISTS spans (
  project LowCardinality(String),
  trace_id String CODEC(ZSTD(1)),
  span_id String CODEC(ZSTD(1)),
  parent_span_id String CODEC(ZSTD(1)),
  name LowCardinality(String),
  kind Enum8('unspecified' = 0, 'internal' = 1, 'server' = 2, 'client' = 3, 'producer' = 4, 'consumer' = 5),
  status_code Enum8('unset' = 0, 'ok' = 1, 'error' = 2),
  status_message String CODEC(ZSTD(1)),
  start_time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
  duration_ns UInt64 CODEC(T64, ZSTD(1)),
  version UInt64 CODEC(Delta, ZSTD(1)),
  received_time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
  service_name LowCardinality(String),
  scope_name LowCardinality(String),
  scope_version LowCardinality(String),
  scope_schema_url LowCardinality(String),
  resource_schema_url LowCardinality(String),
  trace_state String CODEC(ZSTD(1)),
  flags UInt32 CODEC(T64, ZSTD(1)),
  flagged LowCardinality(String),

  -- A pending row has the parent of its final one, so roots can be picked before versions are compared.
  is_root Bool MATERIALIZED parent_span_id = '',
  backtrail_kind LowCardinality(String),
  status LowCardinality(String),
  step_kind LowCardinality(String),
  dialect LowCardinality(String),
  operation_name LowCardinality(String),
  agent_name LowCardinality(String),
  agent_key String CODEC(ZSTD(1)),
  agent_path String CODEC(ZSTD(1)),
  tool_name LowCardinality(String),
  query String CODEC(ZSTD(1)),
  task_id String CODEC(ZSTD(1)),
  parent_task_id String CODEC(ZSTD(1)),
  task_chain Array(String) CODEC(ZSTD(1)),
  depth UInt16 CODEC(T64, ZSTD(1)),
  retry_count UInt16 CODEC(T64, ZSTD(1)),
  deadline LowCardinality(String),
  conversation_id String CODEC(ZSTD(1)),
  user_id String CODEC(ZSTD(1)),
  environment LowCardinality(String),
  provider_name LowCardinality(String),
  request_model LowCardinality(String),
  response_model LowCardinality(String),
  input_tokens Nullable(UInt32) CODEC(ZSTD(1)),
  output_tokens Nullable(UInt32) CODEC(ZSTD(1)),
  cache_read_input_tokens Nullable(UInt32) CODEC(ZSTD(1)),
  cache_write_input_tokens Nullable(UInt32) CODEC(ZSTD(1)),
  reasoning_output_tokens Nullable(UInt32) CODEC(ZSTD(1)),
  reported_cost_usd Nullable(Float64) CODEC(ZSTD(1)),
  error_type LowCardinality(String),
  step_key String CODEC(ZSTD(1)),
  seq UInt64 CODEC(T64, ZSTD(1)),
  replayed Bool,
  lost UInt32 CODEC(T64, ZSTD(1)),

  -- Values are text; attribute_types names those that are not strings. Large and private ones are in contents:
  -- payloads maps their keys to the hashes of their pieces, see backtrail_pieces.
  attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  attribute_types Map(LowCardinality(String), LowCardinality(String)) CODEC(ZSTD(1)),
  payloads Map(LowCardinality(String), Tuple(form Enum8('whole' = 0, 'list' = 1, 'spaced list' = 2), hashes Array(UInt64))) CODEC(ZSTD(1)),
  resource Map(LowCardinality(String), LowCardinality(String)) CODEC(ZSTD(1)),
  resource_types Map(LowCardinality(String), LowCardinality(String)) CODEC(ZSTD(1)),
  scope_attributes Map(LowCardinality(String), LowCardinality(String)) CODEC(ZSTD(1)),
  scope_attribute_types Map(LowCardinality(String), LowCardinality(String)) CODEC(ZSTD(1)),
  events Array(Tuple(
    time_unix_nano UInt64,
    name LowCardinality(String),
    attributes Map(LowCardinality(String), String),
    attribute_types Map(LowCardinality(String), LowCardinality(String)),
    dropped_attributes_count UInt32)) CODEC(ZSTD(1)),
  links Array(Tuple(
    trace_id String,
    span_id String,
    trace_state String,
    attributes Map(LowCardinality(String), String),
    attribute_types Map(LowCardinality(String), LowCardinality(String)),
    dropped_attributes_count UInt32,
    flags UInt32)) CODEC(ZSTD(1)),
  -- What the sender left out, and what we did; see docs/opentelemetry.md.
  dropped_attributes_count UInt32 CODEC(T64, ZSTD(1)),
  dropped_events_count UInt32 CODEC(T64, ZSTD(1)),
  dropped_links_count UInt32 CODEC(T64, ZSTD(1)),
  resource_dropped_attributes_count UInt32 CODEC(T64, ZSTD(1)),
  scope_dropped_attributes_count UInt32 CODEC(T64, ZSTD(1)),

  run_id String ALIAS trace_id,
  is_pending Bool ALIAS version = 0,
  input Array(UInt64) ALIAS payloads['gen_ai.input.messages'].hashes,
  output Array(UInt64) ALIAS payloads['gen_ai.output.messages'].hashes,

  INDEX by_trace trace_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY (project, toMonday(start_time))
ORDER BY (project, toStartOfHour(start_time), trace_id, start_time, span_id)
SETTINGS index_granularity = 2048, non_replicated_deduplication_window = 10000,
  -- Sixty columns merged row by row cost twice what they cost column by column, at any size.
  min_level_for_wide_part = 1, vertical_merge_algorithm_min_rows_to_activate = 1, vertical_merge_algorithm_min_columns_to_activate = 1,
  fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
  -- Merged parts are synced, so what they replace need not be kept: erased is gone.
  old_parts_lifetime = 1;

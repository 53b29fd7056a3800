-- One row a log record. Records have no id: what tells one from another is everything in it, as a hash, and its number
-- among equal ones of the same request. So an export that comes twice is read once, and two equal records are two.
-- A record is found by its trace, or, with none, by time and service.
CREATE TABLE IF NOT EXISTS logs (
  project LowCardinality(String),
  trace_id String CODEC(ZSTD(1)),
  span_id String CODEC(ZSTD(1)),
  time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
  hash UInt64,
  observed_time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
  received_time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
  severity_number UInt8 CODEC(T64, ZSTD(1)),
  severity_text LowCardinality(String),
  event_name LowCardinality(String),
  service_name LowCardinality(String),
  scope_name LowCardinality(String),
  scope_version LowCardinality(String),
  scope_schema_url LowCardinality(String),
  resource_schema_url LowCardinality(String),
  flags UInt32 CODEC(T64, ZSTD(1)),
  dropped_attributes_count UInt32 CODEC(T64, ZSTD(1)),
  resource_dropped_attributes_count UInt32 CODEC(T64, ZSTD(1)),
  scope_dropped_attributes_count UInt32 CODEC(T64, ZSTD(1)),
  flagged LowCardinality(String),

  -- The body as text, with the name of its type. Long ones and those of GenAI events are in contents, as are such
  -- attributes: see payloads in spans.
  body String CODEC(ZSTD(1)),
  body_type LowCardinality(String),
  body_payload Tuple(form Enum8('whole' = 0, 'list' = 1, 'spaced list' = 2), hashes Array(UInt64)) CODEC(ZSTD(1)),
  attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  attribute_types Map(LowCardinality(String), LowCardinality(String)) CODEC(ZSTD(1)),
  payloads Map(LowCardinality(String), Tuple(form Enum8('whole' = 0, 'list' = 1, 'spaced list' = 2), hashes Array(UInt64))) CODEC(ZSTD(1)),
  resource Map(LowCardinality(String), LowCardinality(String)) CODEC(ZSTD(1)),
  resource_types Map(LowCardinality(String), LowCardinality(String)) CODEC(ZSTD(1)),
  scope_attributes Map(LowCardinality(String), LowCardinality(String)) CODEC(ZSTD(1)),
  scope_attribute_types Map(LowCardinality(String), LowCardinality(String)) CODEC(ZSTD(1)),

  INDEX by_trace trace_id TYPE bloom_filter(0.001) GRANULARITY 1,
  INDEX words body TYPE text(tokenizer = 'splitByNonAlpha', preprocessor = lower(body))
)
ENGINE = ReplacingMergeTree
PARTITION BY (project, toMonday(time))
ORDER BY (project, toStartOfHour(time), trace_id, time, span_id, hash)
SETTINGS index_granularity = 2048, non_replicated_deduplication_window = 10000,
  min_level_for_wide_part = 1, vertical_merge_algorithm_min_rows_to_activate = 1, vertical_merge_algorithm_min_columns_to_activate = 1,
  fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
  -- Merged parts are synced, so what they replace need not be kept: erased is gone.
  old_parts_lifetime = 1;

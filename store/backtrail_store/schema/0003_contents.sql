-- Payload texts, apart from the light columns and with a life of their own: each message of a chat history once a
-- trace and hour, any other payload as one entry. Blocks are large because the texts resemble one another.
-- Partitions are as in spans, so that a project's texts may go before its spans do.
CREATE TABLE IF NOT EXISTS contents (
  project LowCardinality(String),
  trace_id String CODEC(ZSTD(1)),
  hash UInt64,
  time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
  received_time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
  content String CODEC(ZSTD(3)),
  INDEX words content TYPE text(tokenizer = 'splitByNonAlpha', preprocessor = lower(content))
)
ENGINE = ReplacingMergeTree
PARTITION BY (project, toMonday(time))
ORDER BY (project, toStartOfHour(time), trace_id, hash)
SETTINGS index_granularity = 1024, index_granularity_bytes = '1Mi', min_compress_block_size = 262144,
  non_replicated_deduplication_window = 10000,
  min_level_for_wide_part = 1, vertical_merge_algorithm_min_rows_to_activate = 1, vertical_merge_algorithm_min_columns_to_activate = 1,
  fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
  -- Merged parts are synced, so what they replace need not be kept: erased is gone.
  old_parts_lifetime = 1;

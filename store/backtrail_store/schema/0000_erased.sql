-- Traces that were erased, so that an export which was under way does not bring one back: the views that take requests
-- apart ask this dictionary. It comes first because they do.
CREATE TABLE IF NOT EXISTS erased (
  project LowCardinality(String),
  trace_id String,
  erased_time DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY (project, trace_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

CREATE DICTIONARY IF NOT EXISTS erased_traces (
  project String,
  trace_id String,
  erased_time DateTime64(3)
)
PRIMARY KEY project, trace_id
SOURCE(CLICKHOUSE(TABLE 'erased' /*credentials*/))
LAYOUT(COMPLEX_KEY_HASHED())
LIFETIME(0);

-- Projects by name: what is sent, read and kept belongs to one. A deleted project's row says so, and FINAL leaves it out.
-- spans_days and contents_days say how long its rows are kept; without them, as long as the server's settings say.
CREATE TABLE IF NOT EXISTS projects (
  name String,
  created_time DateTime64(3, 'UTC'),
  spans_days Nullable(UInt32),
  contents_days Nullable(UInt32),
  version UInt64,
  is_deleted UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY name
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

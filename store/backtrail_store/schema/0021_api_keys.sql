-- Keys by id. The secret itself is nowhere: 256 random bits need no slow hash, so its SHA-256 says enough to know it again.
-- A key without a project is the server's: it administers projects and keys, and reads the server's own figures.
CREATE TABLE IF NOT EXISTS api_keys (
  id String,
  project String,
  name String,
  prefix String,
  sha256 String,
  scopes Array(LowCardinality(String)),
  created_time DateTime64(3, 'UTC'),
  expires_time Nullable(DateTime64(3, 'UTC')),
  revoked_time Nullable(DateTime64(3, 'UTC')),
  version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

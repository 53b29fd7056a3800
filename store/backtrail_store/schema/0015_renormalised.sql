-- Hours of a project's spans whose columns were made anew under the rules with this digest; see renormalisation.py.
CREATE TABLE IF NOT EXISTS renormalised (
  rules String,
  project LowCardinality(String),
  hour DateTime('UTC'),
  time DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY (rules, project, hour)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

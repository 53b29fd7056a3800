-- What users said that models cost, as they said it: Python reads it, and finds the names that it is about. Of the
-- same project, provider, pattern and day the last word counts. Without a project it is for all, without a provider for any.
CREATE TABLE IF NOT EXISTS price_rules (
  project String,
  provider String,
  model String,
  valid_from Date,
  origin LowCardinality(String),
  price String,
  version UInt64,
  is_deleted UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project, provider, model, valid_from)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- What a million tokens of a model cost in US dollars, by its name as spans say it, from each day on. Rates go by the
-- second of the day (UTC) and by how many input tokens there are: the last one that fits counts. `project` says whose
-- word it is: a project's own, everybody's ('*'), or the package's ('').
CREATE TABLE IF NOT EXISTS model_prices (
  project String,
  provider String,
  model String,
  package LowCardinality(String),
  history Array(Tuple(
    valid_from Date,
    source LowCardinality(String),
    origin String,
    rates Array(Tuple(
      begins UInt32,
      ends UInt32,
      above Int64,
      input Decimal(38, 12),
      output Decimal(38, 12),
      cache_read Decimal(38, 12),
      cache_write Decimal(38, 12),
      reasoning Decimal(38, 12),
      input_audio Decimal(38, 12),
      output_audio Decimal(38, 12),
      request Decimal(38, 12))))),
  version UInt64,
  is_deleted UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project, provider, model)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- Rates as one list, because a dictionary is asked once for each of its columns.
CREATE VIEW IF NOT EXISTS current_prices AS
SELECT
  project, provider, model,
  period.valid_from AS valid_from,
  toDate('2149-06-06') AS valid_to,
  arrayFlatten(arrayMap(x -> [
    toDecimal128(x.begins, 12), toDecimal128(x.ends, 12), toDecimal128(x.above, 12),
    x.input, x.output, x.cache_read, x.cache_write, x.reasoning, x.input_audio, x.output_audio, x.request], period.rates)) AS rates
FROM model_prices FINAL
ARRAY JOIN history AS period;

CREATE DICTIONARY IF NOT EXISTS prices (
  project String,
  provider String,
  model String,
  valid_from Date,
  valid_to Date,
  rates Array(Decimal(38, 12))
)
PRIMARY KEY project, provider, model
SOURCE(CLICKHOUSE(TABLE 'current_prices' /*credentials*/))
LAYOUT(COMPLEX_KEY_RANGE_HASHED(RANGE_LOOKUP_STRATEGY 'max'))
RANGE(MIN valid_from MAX valid_to)
LIFETIME(0);

-- Names that spans bring are looked for among those received since the last look.
ALTER TABLE spans ADD INDEX IF NOT EXISTS by_received received_time TYPE minmax GRANULARITY 1;

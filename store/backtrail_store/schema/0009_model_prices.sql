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

-- Under whose word and which name a span may have a price: what a user said counts before the package, and the name in
-- the answer before the one that was asked for. A deployment may answer with a name of its own.
ALTER TABLE spans ADD COLUMN IF NOT EXISTS price_key Tuple(project String, model String) ALIAS arrayFirst(
  x -> x.2 != '' AND dictHas('prices', (x.1, toString(provider_name), x.2), toDate(start_time)),
  if(input_tokens IS NULL AND output_tokens IS NULL, [],
    arrayZip([toString(project), toString(project), '*', '*', '', ''],
      arrayFlatten(arrayWithConstant(3, [toString(response_model), toString(request_model)])))));

-- What its tokens cost, in parts: input that was not cached, cache reads, cache writes, output that is seen, reasoning,
-- and what is paid for the request itself. Input and output include what was cached, thought and spoken. Of the rates
-- the last one counts that fits the second of the day and the number of input tokens. Empty without a price.
-- What is in a list of one, ClickHouse reads once, however often its name stands in the function.
ALTER TABLE spans ADD COLUMN IF NOT EXISTS cost_parts Array(Decimal(38, 12)) ALIAS arrayFlatten(arrayMap(
  (rates, at, uncached, seen) -> [
    least(uncached, ifNull(input_audio_tokens, 0)) * rates[at + 9] / 1000000
      + (uncached - least(uncached, ifNull(input_audio_tokens, 0))) * rates[at + 4] / 1000000,
    ifNull(cache_read_input_tokens, 0) * rates[at + 6] / 1000000,
    ifNull(cache_write_input_tokens, 0) * rates[at + 7] / 1000000,
    least(seen, ifNull(output_audio_tokens, 0)) * rates[at + 10] / 1000000
      + (seen - least(seen, ifNull(output_audio_tokens, 0))) * rates[at + 5] / 1000000,
    ifNull(reasoning_output_tokens, 0) * rates[at + 8] / 1000000,
    rates[at + 11]],
  arrayMap(rates -> (rates, 11 * arrayLast(x -> rates[11 * x + 1] <= toUnixTimestamp64Second(start_time) % 86400
      AND rates[11 * x + 2] > toUnixTimestamp64Second(start_time) % 86400 AND rates[11 * x + 3] < ifNull(input_tokens, 0),
      range(intDiv(length(rates), 11))),
    greatest(toInt64(ifNull(input_tokens, 0)) - ifNull(cache_read_input_tokens, 0) - ifNull(cache_write_input_tokens, 0), 0),
    greatest(toInt64(ifNull(output_tokens, 0)) - ifNull(reasoning_output_tokens, 0), 0)),
    arrayFilter(x -> notEmpty(x), arrayMap(
      x -> dictGetOrDefault('prices', 'rates', (x.1, toString(provider_name), x.2), toDate(start_time), CAST([], 'Array(Decimal(38, 12))')),
      [price_key])))));

-- What the sender says it cost counts, as exact as it was written; what its tokens cost stands beside it. A model that
-- nobody knows has no price, which is not the price zero.
ALTER TABLE spans ADD COLUMN IF NOT EXISTS cost Tuple(
  input Nullable(Decimal(38, 12)), cache_read Nullable(Decimal(38, 12)), cache_write Nullable(Decimal(38, 12)),
  output Nullable(Decimal(38, 12)), reasoning Nullable(Decimal(38, 12)), request Nullable(Decimal(38, 12)),
  total Nullable(Decimal(38, 12)), computed Nullable(Decimal(38, 12)), source Nullable(String)) ALIAS arrayMap(
  (parts, reported, whose) -> multiIf(
    reported IS NOT NULL, (NULL, NULL, NULL, NULL, NULL, NULL, reported, if(empty(parts), NULL, arraySum(parts)), 'reported'),
    empty(parts), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (parts[1], parts[2], parts[3], parts[4], parts[5], parts[6], arraySum(parts), arraySum(parts), if(whose = '', 'genai-prices', 'user'))),
  [cost_parts], [toDecimal128OrNull(toString(reported_cost_usd), 12)], [price_key.project])[1];

ALTER TABLE spans ADD COLUMN IF NOT EXISTS cost_usd Nullable(Decimal(38, 12)) ALIAS arrayMap(
  parts -> multiIf(
    reported_cost_usd IS NOT NULL AND toDecimal128OrNull(toString(reported_cost_usd), 12) IS NOT NULL, toDecimal128OrNull(toString(reported_cost_usd), 12),
    empty(parts), NULL,
    arraySum(parts)),
  [cost_parts])[1];

-- What a million tokens cost in US dollars, by model and day. Lists go by tier: at its position, the price once the
-- input has more than tier_starts tokens. A user's own price beats the one that came with genai-prices.
CREATE TABLE IF NOT EXISTS model_prices (
  provider LowCardinality(String),
  model String,
  valid_from Date,
  source LowCardinality(String),
  tier_starts Array(UInt64),
  input Array(Float64),
  output Array(Float64),
  cache_read Array(Float64),
  cache_write Array(Float64),
  updated_time DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(updated_time)
ORDER BY (provider, model, valid_from, source)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

CREATE VIEW IF NOT EXISTS current_prices AS
SELECT provider, model, valid_from, toDate('2149-06-06') AS valid_to, tier_starts, input, output, cache_read, cache_write
FROM model_prices FINAL
ORDER BY source = 'user' DESC
LIMIT 1 BY provider, model, valid_from;

CREATE DICTIONARY IF NOT EXISTS prices (
  provider String,
  model String,
  valid_from Date,
  valid_to Date,
  tier_starts Array(UInt64),
  input Array(Float64),
  output Array(Float64),
  cache_read Array(Float64),
  cache_write Array(Float64)
)
PRIMARY KEY provider, model
SOURCE(CLICKHOUSE(TABLE 'current_prices' /*credentials*/))
LAYOUT(COMPLEX_KEY_RANGE_HASHED(RANGE_LOOKUP_STRATEGY 'max'))
RANGE(MIN valid_from MAX valid_to)
LIFETIME(0);

-- Tokens × price on the span's day, from the parts: input and output tokens include cached and reasoning ones.
-- A model that nobody knows has no price, which is not the price zero.
CREATE OR REPLACE FUNCTION backtrail_price AS (part, provider, model, time, tokens) -> arrayElement(
  dictGet('prices', part, (toString(provider), toString(model)), toDate(time)),
  arrayLastIndex(x -> x = 0 OR ifNull(tokens, 0) > x, dictGet('prices', 'tier_starts', (toString(provider), toString(model)), toDate(time))));

ALTER TABLE spans ADD COLUMN IF NOT EXISTS priced_model LowCardinality(String) ALIAS multiIf(
  response_model != '' AND dictHas('prices', (toString(provider_name), toString(response_model)), toDate(start_time)), response_model,
  request_model != '', request_model,
  response_model);

ALTER TABLE spans ADD COLUMN IF NOT EXISTS cost_usd Nullable(Float64) ALIAS multiIf(
  reported_cost_usd IS NOT NULL, reported_cost_usd,
  (input_tokens IS NULL AND output_tokens IS NULL)
    OR NOT dictHas('prices', (toString(provider_name), toString(priced_model)), toDate(start_time)), NULL,
  (greatest(ifNull(input_tokens, 0) - ifNull(cache_read_input_tokens, 0) - ifNull(cache_write_input_tokens, 0), 0)
      * backtrail_price('input', provider_name, priced_model, start_time, input_tokens)
    + ifNull(cache_read_input_tokens, 0) * backtrail_price('cache_read', provider_name, priced_model, start_time, input_tokens)
    + ifNull(cache_write_input_tokens, 0) * backtrail_price('cache_write', provider_name, priced_model, start_time, input_tokens)
    + ifNull(output_tokens, 0) * backtrail_price('output', provider_name, priced_model, start_time, input_tokens)) / 1000000);

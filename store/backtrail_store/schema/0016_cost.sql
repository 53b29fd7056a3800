-- What a span cost, as questions ask it. No columns: an insert would analyse what they say each time, which cost a single
-- span 60 ms.

-- Under whose word and which name a span may have a price: what a user said counts before the package, and the name in
-- the answer before the one that was asked for. A deployment may answer with a name of its own.
CREATE OR REPLACE FUNCTION backtrail_price_key AS (
  project, provider_name, request_model, response_model, start_time, input_tokens, output_tokens) -> arrayFirst(
  x -> x.2 != '' AND dictHas('prices', (x.1, toString(provider_name), x.2), toDate(start_time)),
  if(input_tokens IS NULL AND output_tokens IS NULL, [],
    arrayZip([toString(project), toString(project), '*', '*', '', ''],
      arrayFlatten(arrayWithConstant(3, [toString(response_model), toString(request_model)])))));

-- What its tokens cost, in parts: input that was not cached, cache reads, cache writes, output that is seen, reasoning,
-- and what is paid for the request itself. Input and output include what was cached, thought and spoken. Of the rates
-- the last one counts that fits the second of the day and the number of input tokens. Empty without a price.
-- What is in a list of one, ClickHouse reads once, however often its name stands in the function.
CREATE OR REPLACE FUNCTION backtrail_cost_parts AS (
  price_key, provider_name, start_time,
  input_tokens, output_tokens, cache_read_input_tokens, cache_write_input_tokens, reasoning_output_tokens, input_audio_tokens, output_audio_tokens) -> arrayFlatten(arrayMap(
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
CREATE OR REPLACE FUNCTION backtrail_cost AS (cost_parts, reported_cost_usd, price_key) -> CAST(arrayMap(
  (parts, reported, whose) -> multiIf(
    reported IS NOT NULL, (NULL, NULL, NULL, NULL, NULL, NULL, reported, if(empty(parts), NULL, arraySum(parts)), 'reported'),
    empty(parts), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (parts[1], parts[2], parts[3], parts[4], parts[5], parts[6], arraySum(parts), arraySum(parts), if(whose = '', 'genai-prices', 'user'))),
  [cost_parts], [toDecimal128OrNull(toString(reported_cost_usd), 12)], [price_key.1])[1],
  'Tuple(input Nullable(Decimal(38, 12)), cache_read Nullable(Decimal(38, 12)), cache_write Nullable(Decimal(38, 12)),
    output Nullable(Decimal(38, 12)), reasoning Nullable(Decimal(38, 12)), request Nullable(Decimal(38, 12)),
    total Nullable(Decimal(38, 12)), computed Nullable(Decimal(38, 12)), source Nullable(String))');

CREATE OR REPLACE FUNCTION backtrail_cost_usd AS (cost_parts, reported_cost_usd) -> arrayMap(
  parts -> multiIf(
    reported_cost_usd IS NOT NULL AND toDecimal128OrNull(toString(reported_cost_usd), 12) IS NOT NULL, toDecimal128OrNull(toString(reported_cost_usd), 12),
    empty(parts), NULL,
    arraySum(parts)),
  [cost_parts])[1];

-- Each provider and model that used tokens or was asked in this time, by the name that its price is looked up by. Of
-- two spans of which one lies directly in the other and both tell of usage only the inner counts: they tell of the same.
WITH calls AS (
  WITH
    backtrail_price_key(project, provider_name, request_model, response_model, start_time, input_tokens, output_tokens) AS price_key,
    backtrail_cost_parts(price_key, provider_name, start_time, input_tokens, output_tokens, cache_read_input_tokens,
      cache_write_input_tokens, reasoning_output_tokens, input_audio_tokens, output_audio_tokens) AS cost_parts
  SELECT
    project, trace_id, span_id, parent_span_id, start_time, provider_name, request_model, response_model,
    input_tokens, output_tokens, reported_cost_usd, replayed, price_key,
    backtrail_cost_usd(cost_parts, reported_cost_usd) AS cost_usd,
    input_tokens IS NOT NULL OR output_tokens IS NOT NULL AS has_usage
  FROM spans FINAL
  WHERE project = {project:String}
    AND start_time >= fromUnixTimestamp64Nano({start:Int64}) AND start_time < fromUnixTimestamp64Nano({end:Int64})
    AND NOT is_pending AND NOT replayed
    AND backtrail_kind NOT IN ('run', 'agent', 'attempt', 'state', 'checkpoint', 'effect', 'process')
    AND step_kind NOT IN ('agent', 'chain', 'workflow')
    AND (request_model != '' OR response_model != '' OR input_tokens IS NOT NULL OR output_tokens IS NOT NULL)
)
SELECT
  provider_name,
  multiIf(price_key.2 != '', price_key.2, response_model != '', toString(response_model), toString(request_model)) AS model,
  count() AS span_count,
  countIf(has_usage) AS usage_count,
  sumOrNull(input_tokens) AS input_tokens_sum,
  sumOrNull(output_tokens) AS output_tokens_sum,
  sumOrNull(cost_usd) AS cost_sum,
  countIf(has_usage AND cost_usd IS NULL) AS unpriced_count,
  toUnixTimestamp64Nano(max(start_time)) AS last_start_unix_nano
FROM calls
WHERE NOT has_usage OR (cityHash64(trace_id, span_id)) NOT IN (SELECT cityHash64(trace_id, parent_span_id) FROM calls WHERE has_usage)
GROUP BY provider_name, model
ORDER BY unpriced_count DESC, cost_sum DESC NULLS LAST, usage_count DESC, provider_name, model
LIMIT {limit:UInt32}

-- What each run's spans add up to. Which model calls count is decided by who lies within whom and who tells what
-- (model_calls.py), so ids and parents come along as numbers, and of calls and usage what CallSpan asks for.
SELECT
  trace_id,
  count() AS span_count,
  countIf(backtrail_kind = 'agent') AS agent_count,
  countIf(backtrail_kind = 'step') AS step_count,
  countIf(status_code = 'error' AND NOT is_record AND backtrail_kind != 'attempt') AS error_count,
  countIf(replayed AND NOT is_record) AS replayed_count,
  greatest(sumIf(lost, backtrail_kind = 'process'), maxIf(lost, backtrail_kind = 'run')) AS lost_count,
  max(toUnixTimestamp64Nano(received_time)) AS last_received_unix_nano,
  groupArray(id) AS span_ids,
  groupArray(reinterpretAsUInt64(reverse(unhex(parent_span_id)))) AS parent_ids,
  groupArrayIf(tuple(id, is_call, has_usage, replayed, input_tokens, output_tokens, cost_usd), is_telling) AS calls,
  -- Which calls are the same is asked only where two instrumentations were at work, or an answer is told twice.
  if(uniqIf(scope_name, is_call) > 1 OR uniqExactIf(response_id, is_answer) < countIf(is_answer),
    groupArrayIf(tuple(toUnixTimestamp64Nano(start_time), duration_ns, scope_name, request_model, response_model, response_id), is_telling),
    []) AS tellings
FROM (
  WITH
    backtrail_price_key(project, provider_name, request_model, response_model, start_time, input_tokens, output_tokens) AS price_key,
    backtrail_cost_parts(price_key, provider_name, start_time, input_tokens, output_tokens, cache_read_input_tokens,
      cache_write_input_tokens, reasoning_output_tokens, input_audio_tokens, output_audio_tokens) AS cost_parts
  SELECT
    *,
    backtrail_cost_usd(cost_parts, reported_cost_usd) AS cost_usd,
    backtrail_kind IN ('state', 'checkpoint', 'effect', 'process') AS is_record,
    NOT is_pending AND NOT is_record AS has_ended,
    step_kind IN {model_step_kinds:Array(String)} AND backtrail_kind NOT IN {kinds_without_call:Array(String)} AS is_call,
    reinterpretAsUInt64(reverse(unhex(span_id))) AS id,
    input_tokens IS NOT NULL OR output_tokens IS NOT NULL OR reported_cost_usd IS NOT NULL AS has_usage,
    is_call AND response_id != '' AS is_answer,
    has_ended AND (is_call OR (has_usage AND NOT replayed)) AS is_telling
  FROM spans FINAL
  WHERE project = {project:String} AND trace_id IN {run_ids:Array(String)}
    AND start_time >= fromUnixTimestamp64Nano({start:Int64})
)
GROUP BY trace_id

-- What each run's spans add up to. Which model calls count is decided by who lies within whom (model_calls.py), so
-- ids and parents come along as numbers, and of the calls what they used.
SELECT
  trace_id,
  count() AS span_count,
  countIf(backtrail_kind = 'agent') AS agent_count,
  countIf(backtrail_kind = 'step') AS step_count,
  countIf(status_code = 'error' AND NOT is_record AND backtrail_kind != 'attempt') AS error_count,
  countIf(replayed AND NOT is_record) AS replayed_count,
  greatest(sumIf(lost, backtrail_kind = 'process'), maxIf(lost, backtrail_kind = 'run')) AS lost_count,
  max(toUnixTimestamp64Nano(received_time)) AS last_received_unix_nano,
  groupArray(reinterpretAsUInt64(unhex(span_id))) AS span_ids,
  groupArray(reinterpretAsUInt64(unhex(parent_span_id))) AS parent_ids,
  groupArrayIf(tuple(reinterpretAsUInt64(unhex(span_id)), is_call, has_usage, replayed, input_tokens, output_tokens, cost_usd),
    has_ended AND (is_call OR (has_usage AND NOT replayed))) AS calls
FROM (
  SELECT
    *,
    cost_usd,
    backtrail_kind IN ('state', 'checkpoint', 'effect', 'process') AS is_record,
    NOT is_pending AND NOT is_record AS has_ended,
    backtrail_kind NOT IN ('run', 'agent', 'attempt') AND (step_kind IN ('llm', 'embedding', 'reranker')
      OR operation_name IN ('chat', 'text_completion', 'generate_content', 'embeddings')) AS is_call,
    input_tokens IS NOT NULL OR output_tokens IS NOT NULL OR reported_cost_usd IS NOT NULL AS has_usage
  FROM spans FINAL
  WHERE project = {project:String} AND trace_id IN {run_ids:Array(String)}
    AND start_time >= fromUnixTimestamp64Nano({start:Int64})
)
GROUP BY trace_id

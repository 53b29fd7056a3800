-- What each run's spans add up to. Only model calls count, and of two nested in each other the inner one: a framework
-- and the provider's instrumentation often describe the same call (three levels apart at most). An agent's own
-- sum counts only where no model call was recorded. Steps answered from the record and unfinished ones count nothing.
WITH
  light AS (
    SELECT trace_id, span_id, parent_span_id, backtrail_kind, status_code, replayed, received_time,
      cost_usd AS cost, input_tokens AS input, output_tokens AS output,
      NOT is_pending AND NOT replayed AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL OR reported_cost_usd IS NOT NULL) AS used,
      used AND step_kind IN ('llm', 'embedding', 'reranker') AS called
    FROM spans FINAL
    WHERE project = {project:String} AND trace_id IN {run_ids:Array(String)}
      AND start_time >= fromUnixTimestamp64Nano({start:Int64})
  ),
  traces_with_calls AS (SELECT DISTINCT trace_id FROM light WHERE called),
  counting AS (SELECT *, called OR (used AND trace_id NOT IN traces_with_calls) AS counts FROM light),
  parents AS (SELECT DISTINCT trace_id, parent_span_id AS id FROM counting WHERE counts),
  grandparents AS (SELECT DISTINCT trace_id, parent_span_id AS id FROM light WHERE (trace_id, span_id) IN (SELECT trace_id, id FROM parents)),
  great_grandparents AS (SELECT DISTINCT trace_id, parent_span_id AS id FROM light WHERE (trace_id, span_id) IN (SELECT trace_id, id FROM grandparents)),
  around AS (SELECT * FROM parents UNION DISTINCT SELECT * FROM grandparents UNION DISTINCT SELECT * FROM great_grandparents)
SELECT
  trace_id,
  count() AS span_count,
  countIf(backtrail_kind = 'agent') AS agent_count,
  countIf(backtrail_kind = 'step') AS step_count,
  countIf(status_code = 'error') AS error_count,
  countIf(replayed) AS replayed_count,
  countIf(innermost) AS llm_calls,
  sumIf(input, innermost) AS input_tokens,
  sumIf(output, innermost) AS output_tokens,
  sumIf(cost, innermost) AS cost_usd,
  countIf(innermost AND cost IS NULL) AS unpriced_calls,
  max(toUnixTimestamp64Nano(received_time)) AS last_received_unix_nano
FROM (SELECT *, counts AND (trace_id, span_id) NOT IN (SELECT trace_id, id FROM around) AS innermost FROM counting)
GROUP BY trace_id

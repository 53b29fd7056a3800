-- All spans of a trace with no more than it takes to know who called whom.
WITH
  (SELECT min(start_time) FROM spans WHERE project = {project:String} AND trace_id = {trace_id:String}) AS first,
  (SELECT max(start_time) FROM spans WHERE project = {project:String} AND trace_id = {trace_id:String}) AS last
SELECT
  span_id,
  parent_span_id,
  name,
  toUnixTimestamp64Nano(start_time) AS start_time_unix_nano,
  duration_ns,
  is_pending,
  backtrail_kind,
  step_kind,
  agent_name,
  request_model,
  response_model,
  error_type,
  tool_call_id
FROM spans FINAL
WHERE project = {project:String}
  AND trace_id = {trace_id:String}
  AND toStartOfHour(start_time) BETWEEN toStartOfHour(first) AND toStartOfHour(last)
ORDER BY start_time, span_id

-- Runs by their root spans, newest first: a run span, or the parentless span of a trace that others made (the last one,
-- where there are several).
SELECT
  trace_id,
  span_id,
  name,
  toUnixTimestamp64Nano(start_time) AS start_time_unix_nano,
  duration_ns,
  is_pending,
  status_code,
  status_message,
  service_name,
  query,
  conversation_id,
  user_id,
  environment,
  status,
  attributes['backtrail.replay.of'] AS replay_of,
  attributes['backtrail.replay.mode'] AS replay_mode,
  error_type
FROM spans FINAL
PREWHERE is_root
WHERE project = {project:String}
  AND trace_id IN {run_ids:Array(String)}
  AND start_time >= fromUnixTimestamp64Nano({start:Int64})
ORDER BY start_time DESC, trace_id DESC
LIMIT 1 BY trace_id

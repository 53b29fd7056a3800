-- Runs by their root spans, newest first: a run span, or the first parentless span of a trace that others made.
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
  attributes['backtrail.run.status'] AS run_status,
  attributes['backtrail.replay.of'] AS replay_of,
  attributes['backtrail.replay.mode'] AS replay_mode,
  error_type
FROM spans FINAL
WHERE project = {project:String}
  AND parent_span_id = ''
  AND ({run_id:String} = '' OR trace_id = {run_id:String})
  AND start_time >= fromUnixTimestamp64Nano({start:Int64}) AND start_time < fromUnixTimestamp64Nano({end:Int64})
  AND (start_time, trace_id) < (fromUnixTimestamp64Nano({before_time:Int64}), {before_id:String})
  AND ({ended:Int8} = -1 OR is_pending != {ended:Int8})
  AND ({run_status:String} = '' OR {run_status:String} =
    if(run_status != '', run_status, if(status_code = 'error', 'failed', 'completed')))
  AND ({name:String} = '' OR name = {name:String})
  AND ({service:String} = '' OR service_name = {service:String})
  AND ({conversation_id:String} = '' OR conversation_id = {conversation_id:String})
  AND ({user_id:String} = '' OR user_id = {user_id:String})
ORDER BY start_time DESC, trace_id DESC, backtrail_kind = 'run' DESC
LIMIT 1 BY trace_id
LIMIT {limit:UInt32}

-- Ids of runs that match, newest first, from the roots of traces. Versions are not compared here, which would cost six
-- times as much among five million spans: an ended run may stand twice, as pending and as final row. What the filters
-- look at is the same in both, but for the status, which only final rows have.
SELECT trace_id, toUnixTimestamp64Nano(start_time) AS start_time_unix_nano, backtrail_kind = 'run' AS is_run
FROM spans
WHERE is_root
  AND project = {project:String}
  AND start_time >= fromUnixTimestamp64Nano({start:Int64}) AND start_time < fromUnixTimestamp64Nano({end:Int64})
  AND (start_time, trace_id) < (fromUnixTimestamp64Nano({before_time:Int64}), {before_id:String})
  AND ({status:String} = '' OR (NOT is_pending
    AND {status:String} = multiIf(status != '', status, status_code = 'error', 'failed', 'completed')))
  AND ({kind:String} != 'run' OR backtrail_kind = 'run')
  AND ({name:String} = '' OR name = {name:String})
  AND ({service:String} = '' OR service_name = {service:String})
  AND ({conversation_id:String} = '' OR conversation_id = {conversation_id:String})
  AND ({user_id:String} = '' OR user_id = {user_id:String})
ORDER BY start_time DESC, trace_id DESC
LIMIT {limit:UInt32}

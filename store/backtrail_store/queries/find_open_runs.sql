-- Ids of runs without an end, newest first. Here versions must be compared, but only those of roots.
SELECT trace_id, toUnixTimestamp64Nano(start_time) AS start_time_unix_nano
FROM spans FINAL
PREWHERE is_root
WHERE is_pending
  AND project = {project:String}
  AND start_time >= fromUnixTimestamp64Nano({start:Int64}) AND start_time < fromUnixTimestamp64Nano({end:Int64})
  AND (start_time, trace_id) < (fromUnixTimestamp64Nano({before_time:Int64}), {before_id:String})
  AND ({name:String} = '' OR name = {name:String})
  AND ({service:String} = '' OR service_name = {service:String})
  AND ({conversation_id:String} = '' OR conversation_id = {conversation_id:String})
  AND ({user_id:String} = '' OR user_id = {user_id:String})
ORDER BY start_time DESC, trace_id DESC
LIMIT {limit:UInt32}

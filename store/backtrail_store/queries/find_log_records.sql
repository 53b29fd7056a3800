-- Where the newest matching log records are: trace, time and hash, a record that was sent twice once. By the hour first,
-- as the table is sorted, so that the newest of millions are found without looking at the rest. Words are looked for
-- in bodies, and in the messages and other payloads that lie in contents: there a text that came often stands once an
-- hour, with one of its times.
WITH
  (SELECT groupArray(100000)(hash) FROM contents
    WHERE {text:String} != '' AND project = {project:String} AND hasAllTokens(content, {text:String})
      AND toStartOfHour(time) BETWEEN toStartOfHour(fromUnixTimestamp64Nano({start:Int64}))
        AND toStartOfHour(fromUnixTimestamp64Nano({end:Int64}))) AS found
SELECT trace_id, toUnixTimestamp64Nano(time) AS time_unix_nano, hash
FROM logs
WHERE project = {project:String}
  AND time >= fromUnixTimestamp64Nano({start:Int64}) AND time < fromUnixTimestamp64Nano({end:Int64})
  AND (time, hash) < (fromUnixTimestamp64Nano({before_time:Int64}), {before_hash:UInt64})
  AND ({trace_id:String} = '' OR trace_id = {trace_id:String})
  AND ({span_id:String} = '' OR span_id = {span_id:String})
  AND ({service:String} = '' OR service_name = {service:String})
  AND ({event_name:String} = '' OR event_name = {event_name:String})
  AND severity_number >= {severity:UInt8}
  AND ({text:String} = '' OR hasAllTokens(body, {text:String})
    OR hasAny(body_payload.hashes, found) OR hasAny(arrayFlatten(mapValues(payloads).hashes), found))
ORDER BY toStartOfHour(time) DESC, time DESC, hash DESC
LIMIT 1 BY time, hash
LIMIT {limit:UInt32}

-- Hours in which projects have spans, and how many; newest first, because those are looked at first.
SELECT project, hour, spans, (project, hour) IN (SELECT project, hour FROM renormalised WHERE rules = {rules:String}) AS is_done
FROM (
  SELECT project, toDateTime(toStartOfHour(start_time), 'UTC') AS hour, uniqExact(trace_id, span_id) AS spans
  FROM spans
  WHERE start_time >= toStartOfHour(fromUnixTimestamp64Nano({since:Int64})) AND ({partition_id:String} = '' OR _partition_id = {partition_id:String})
  GROUP BY project, hour)
ORDER BY hour DESC, project

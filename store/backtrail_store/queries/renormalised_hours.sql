-- Hours in which projects have spans, and how many; newest first, because those are looked at first. Done are those that
-- were made anew, and those of which everything was received when these conventions were in force already.
WITH (SELECT max(applied_time) FROM schema_migrations WHERE name IN {conventions:Array(String)}) AS in_force_since
SELECT
  project, hour, spans,
  first_received >= in_force_since
    OR (project, hour) IN (SELECT project, hour FROM renormalised WHERE rules = {rules:String}) AS is_done
FROM (
  SELECT
    project,
    toDateTime(toStartOfHour(start_time), 'UTC') AS hour,
    uniqExact(trace_id, span_id) AS spans,
    min(received_time) AS first_received
  FROM spans
  WHERE start_time >= toStartOfHour(fromUnixTimestamp64Nano({since:Int64})) AND ({partition_id:String} = '' OR _partition_id = {partition_id:String})
  GROUP BY project, hour)
ORDER BY hour DESC, project

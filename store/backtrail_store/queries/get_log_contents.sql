-- The payload texts of log records, which may be of many traces.
SELECT hash, any(content) AS content
FROM contents
WHERE project = {project:String}
  AND toStartOfHour(time) IN {hours:Array(DateTime('UTC'))}
  AND trace_id IN {trace_ids:Array(String)}
  AND hash IN {hashes:Array(UInt64)}
GROUP BY hash

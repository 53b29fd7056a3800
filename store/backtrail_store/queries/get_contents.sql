-- The payload texts of a trace by their hashes; a text may stand once in each hour that the trace touched.
SELECT hash, any(content) AS content
FROM contents
WHERE project = {project:String}
  AND trace_id = {trace_id:String}
  AND toStartOfHour(time) BETWEEN toStartOfHour(fromUnixTimestamp64Nano({start:Int64}))
    AND toStartOfHour(fromUnixTimestamp64Nano({end:Int64}))
GROUP BY hash

-- The payload texts of a trace, all or those of some hashes; a text may stand once in each hour that the trace touched.
SELECT hash, any(content) AS content
FROM contents
WHERE project = {project:String}
  AND trace_id = {trace_id:String}
  AND (empty({hashes:Array(UInt64)}) OR hash IN {hashes:Array(UInt64)})
  AND toStartOfHour(time) BETWEEN toStartOfHour(fromUnixTimestamp64Nano({start:Int64}))
    AND toStartOfHour(fromUnixTimestamp64Nano({end:Int64}))
GROUP BY hash

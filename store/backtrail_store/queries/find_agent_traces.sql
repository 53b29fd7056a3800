-- Of the traces that others made and that began in this time, those in which an agent worked or a model was asked. The rest
-- are web requests, database calls and the like. A tool that was called from elsewhere is no run.
SELECT DISTINCT trace_id
FROM spans
WHERE project = {project:String}
  AND start_time >= fromUnixTimestamp64Nano({start:Int64}) AND start_time < fromUnixTimestamp64Nano({end:Int64})
  AND step_kind NOT IN ('', 'tool')
  AND trace_id IN (
    SELECT trace_id
    FROM spans
    WHERE is_root
      AND project = {project:String}
      AND backtrail_kind != 'run'
      AND start_time >= fromUnixTimestamp64Nano({start:Int64}) AND start_time < fromUnixTimestamp64Nano({end:Int64}))

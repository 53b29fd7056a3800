-- Of the traces that others made and that began in this time, those in which an agent worked or a model was asked. The rest
-- are web requests, database calls and the like. OpenInference says what a span is in an attribute of its own.
SELECT DISTINCT trace_id
FROM spans
WHERE project = {project:String}
  AND start_time >= fromUnixTimestamp64Nano({start:Int64}) AND start_time < fromUnixTimestamp64Nano({end:Int64})
  AND (step_kind IN ('llm', 'agent', 'workflow', 'embedding') OR mapContains(attributes, 'openinference.span.kind'))
  AND trace_id IN (
    SELECT trace_id
    FROM spans
    WHERE is_root
      AND project = {project:String}
      AND backtrail_kind != 'run'
      AND start_time >= fromUnixTimestamp64Nano({start:Int64}) AND start_time < fromUnixTimestamp64Nano({end:Int64}))

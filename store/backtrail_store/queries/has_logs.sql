-- Whether a trace has log records. Most have none, and then asking for them whole would cost four times as much.
SELECT 1 FROM logs WHERE project = {project:String} AND trace_id = {trace_id:String} LIMIT 1

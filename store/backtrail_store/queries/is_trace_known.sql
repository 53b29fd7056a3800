-- Whether anything of a trace is stored, or was erased.
SELECT
  (SELECT count() FROM (SELECT 1 FROM spans WHERE project = {project:String} AND trace_id = {trace_id:String} LIMIT 1))
  + (SELECT count() FROM (SELECT 1 FROM logs WHERE project = {project:String} AND trace_id = {trace_id:String} LIMIT 1))
  + (SELECT count() FROM (SELECT 1 FROM erased WHERE project = {project:String} AND trace_id = {trace_id:String} LIMIT 1))

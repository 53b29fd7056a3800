-- Runs that replayed one of these.
SELECT DISTINCT trace_id
FROM spans
WHERE is_root
  AND project = {project:String}
  AND attributes['backtrail.replay.of'] IN {trace_ids:Array(String)}

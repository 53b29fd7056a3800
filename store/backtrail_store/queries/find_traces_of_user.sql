-- Every trace of which any span or log record names this user.
SELECT DISTINCT trace_id
FROM (
  SELECT trace_id FROM spans WHERE project = {project:String} AND user_id = {user_id:String}
  UNION ALL
  SELECT trace_id FROM logs WHERE project = {project:String} AND attributes['user.id'] = {user_id:String})
WHERE trace_id != ''
ORDER BY trace_id

-- The partitions that still hold something of the project's erased traces, with their size.
WITH gone AS (SELECT trace_id FROM erased WHERE project = {project:String})
SELECT table, partition_id, sum(bytes_on_disk) AS bytes
FROM system.parts
WHERE active AND database = currentDatabase() AND (table, partition_id) IN (
  SELECT DISTINCT 'spans', _partition_id FROM spans WHERE project = {project:String} AND trace_id IN gone
  UNION ALL
  SELECT DISTINCT 'contents', _partition_id FROM contents WHERE project = {project:String} AND trace_id IN gone
  UNION ALL
  SELECT DISTINCT 'logs', _partition_id FROM logs WHERE project = {project:String} AND trace_id IN gone)
GROUP BY table, partition_id

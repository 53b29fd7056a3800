-- The weeks of every project, as files on disk. A partition has its key as text beside its id.
SELECT
  table,
  partition_id,
  CAST(partition, 'Tuple(String, Date)').1 AS project,
  CAST(partition, 'Tuple(String, Date)').2 AS week,
  sum(bytes_on_disk) AS bytes
FROM system.parts
WHERE active AND database = currentDatabase() AND table IN {tables:Array(String)}
GROUP BY table, partition_id, partition
ORDER BY week, project, table

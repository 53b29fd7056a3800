-- Parts that ClickHouse put aside because it could not read them: their rows are missing from every answer.
-- A part without a reason was detached by a person; clones and half-fetched copies lost nothing.
SELECT table, partition_id, name, reason, coalesce(bytes_on_disk, 0) AS bytes, path
FROM system.detached_parts
WHERE database = currentDatabase()
  AND (startsWith(reason, 'broken') OR reason IN ('unexpected', 'noquorum'))
ORDER BY table, name

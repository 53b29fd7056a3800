-- Replicated tables of the node that answers which take no rows, or are late with those of others. An embedded store and
-- a single server have none.
SELECT table, toBool(is_readonly OR is_session_expired) AS is_readonly, absolute_delay AS delay_seconds, queue_size AS waiting
FROM system.replicas
WHERE database = currentDatabase() AND (is_readonly OR is_session_expired OR absolute_delay > 300)
ORDER BY table

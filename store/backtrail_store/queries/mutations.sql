-- Rewriting that is not done yet, and what the engine says against it.
SELECT table, mutation_id, latest_fail_reason
FROM system.mutations
WHERE NOT is_done AND database = currentDatabase() AND table IN {tables:Array(String)}

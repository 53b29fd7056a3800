-- The pieces of every payload, each once a trace and insert; merges remove the rest.
CREATE MATERIALIZED VIEW IF NOT EXISTS contents_view TO contents AS
SELECT
  project,
  trace_id,
  cityHash64(content) AS hash,
  start_time AS time,
  received_time,
  content
FROM (
  SELECT project, trace_id, start_time, received_time, arrayJoin(backtrail_pieces(text)) AS content
  FROM (SELECT project, trace_id, start_time, received_time, arrayJoin(payload_texts) AS text FROM span_in))
LIMIT 1 BY project, trace_id, hash;

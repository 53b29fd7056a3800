-- The pieces of every payload, each once a trace and insert; merges remove the rest.
CREATE MATERIALIZED VIEW IF NOT EXISTS contents_view TO contents AS
SELECT
  project,
  trace_id,
  cityHash64(content) AS hash,
  fromUnixTimestamp64Nano(toInt64(least(start, 5617000000000000000))) AS time,
  received_time,
  content
FROM (
  SELECT project, trace_id, start, received_time, arrayJoin(backtrail_pieces(text)) AS content
  FROM (SELECT project, trace_id, start, received_time, arrayJoin(payload_texts) AS text FROM span_in))
LIMIT 1 BY project, trace_id, hash;

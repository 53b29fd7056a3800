-- The pieces of every payload, each once a trace.
CREATE MATERIALIZED VIEW contents_view TO contents AS
SELECT project, trace_id, cityHash64(piece) AS hash,
  min(fromUnixTimestamp64Nano(toInt64(least(start, 5617000000000000000)))) AS time, any(piece) AS content
FROM (
  SELECT project, trace_id, start, arrayJoin(backtrail_pieces(text)) AS piece
  FROM (SELECT project, trace_id, start, arrayJoin(payload_texts) AS text FROM span_in))
GROUP BY project, trace_id, hash;

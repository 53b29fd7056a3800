-- What is still stored of the project's erased traces.
WITH gone AS (SELECT trace_id FROM erased WHERE project = {project:String})
SELECT
  (SELECT uniqExact(trace_id, span_id) FROM spans WHERE project = {project:String} AND trace_id IN gone) AS spans,
  (SELECT uniqExact(trace_id, hash) FROM contents WHERE project = {project:String} AND trace_id IN gone) AS contents,
  (SELECT uniqExact(trace_id, span_id, time, hash) FROM logs WHERE project = {project:String} AND trace_id IN gone) AS log_records

-- Stored spans as span_in has them, for the view that makes columns of them: see renormalisation.py. What is asked among
-- their attributes may be long, and then it is in contents.
WITH
  long_attributes AS (
    SELECT trace_id, arrayJoin(arrayFlatten(arrayMap(x -> x.hashes, mapValues(mapFilter((key, value) -> backtrail_rank(key) != 0, payloads))))) AS hash
    FROM spans
    WHERE project = {project:String} AND start_time >= {hour:DateTime('UTC')} AND start_time < {hour:DateTime('UTC')} + INTERVAL 1 HOUR),
  long_texts AS (
    SELECT trace_id, mapFromArrays(groupArray(hash), groupArray(content)) AS texts
    FROM contents
    WHERE project = {project:String} AND (trace_id, hash) IN long_attributes
    GROUP BY trace_id),
  mapFilter((key, value) -> backtrail_rank(key) != 0 AND mapContains(texts, value.hashes[1]), payloads) AS long,
  arrayConcat(mapKeys(attributes), mapKeys(long)) AS keys,
  arrayConcat(mapValues(attributes), arrayMap(x -> texts[x.hashes[1]], mapValues(long))) AS values
SELECT
  project, trace_id, span_id, parent_span_id, name, toInt32(kind) AS kind, toInt32(status_code) AS status_code, status_message,
  start_time, duration_ns, version, received_time,
  scope_name, scope_version, scope_schema_url, resource_schema_url, trace_state, flags, flagged, task_chain,
  backtrail_scope_dialect(scope_name) AS scope_dialect,
  backtrail_answers_of(keys, values, backtrail_ranks(keys), backtrail_answer_flags(backtrail_ranks(keys), values, scope_dialect), scope_dialect) AS answers,
  attributes, attribute_types, payloads, resource, resource_types, scope_attributes, scope_attribute_types, events, links,
  dropped_attributes_count, dropped_events_count, dropped_links_count, resource_dropped_attributes_count, scope_dropped_attributes_count
FROM (SELECT * FROM spans FINAL
  WHERE project = {project:String} AND start_time >= {hour:DateTime('UTC')} AND start_time < {hour:DateTime('UTC')} + INTERVAL 1 HOUR
    AND NOT dictHas('erased_traces', (project, trace_id))) AS stored
LEFT JOIN long_texts USING trace_id

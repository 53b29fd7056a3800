-- A record's time is when it happened, else when it was observed, as OpenTelemetry's data model has it.
CREATE MATERIALIZED VIEW IF NOT EXISTS logs_view TO logs AS
WITH
  if(time = 0, observed, time) AS happened,
  least(happened, 5617000000000000000) AS bounded_time,
  toInt64(toUnixTimestamp64Nano(received_time)) - toInt64(bounded_time) AS delay,
  multiIf(
    happened > bounded_time, concat('time out of range: ', toString(happened)),
    happened = 0, 'no time',
    delay > 43200000000000, concat('received ', toString(intDiv(delay, 3600000000000)), ' hours after its time'),
    delay < -43200000000000, concat('received ', toString(intDiv(-delay, 3600000000000)), ' hours before its time'),
    '') AS odd_time
SELECT
  project,
  trace_id,
  span_id,
  fromUnixTimestamp64Nano(toInt64(bounded_time)) AS time,
  hash,
  fromUnixTimestamp64Nano(toInt64(least(observed, 5617000000000000000))) AS observed_time,
  received_time,
  if(severity BETWEEN 0 AND 24, severity, 0) AS severity_number,
  severity_text,
  event_name,
  resource['service.name'] AS service_name,
  scope_name,
  scope_version,
  scope_schema_url,
  resource_schema_url,
  flags,
  dropped_attributes_count,
  resource_dropped_attributes_count,
  scope_dropped_attributes_count,
  arrayStringConcat(arrayFilter(x -> x != '', [
    texts['backtrail.flagged'],
    bad_ids,
    odd_time,
    if(observed > 5617000000000000000, concat('observed time out of range: ', toString(observed)), ''),
    if(severity BETWEEN 0 AND 24, '', concat('severity_number out of range: ', toString(severity)))]), '; ') AS flagged,
  body,
  body_type,
  if(empty(body_payload), CAST(tuple('whole', []), 'Tuple(form Enum8(''whole'' = 0, ''list'' = 1, ''spaced list'' = 2), hashes Array(UInt64))'), backtrail_payload(body_payload[1])) AS body_payload,
  texts AS attributes,
  types AS attribute_types,
  mapFromArrays(payload_keys, arrayMap(x -> backtrail_payload(x), payload_texts)) AS payloads,
  resource,
  resource_types,
  scope_attributes,
  scope_attribute_types
FROM log_in;

-- The pieces of what records carry, under the same hashes as those of their trace's spans: each once an hour, because
-- records are read by their own hours, and not with all of their trace.
CREATE MATERIALIZED VIEW IF NOT EXISTS log_contents_view TO contents AS
SELECT
  project,
  trace_id,
  cityHash64(content) AS hash,
  fromUnixTimestamp64Nano(toInt64(least(if(time = 0, observed, time), 5617000000000000000))) AS time,
  received_time,
  content
FROM (
  SELECT project, trace_id, time, observed, received_time, arrayJoin(backtrail_pieces(text)) AS content
  FROM (SELECT project, trace_id, time, observed, received_time, arrayJoin(arrayConcat(body_payload, payload_texts)) AS text FROM log_in))
LIMIT 1 BY project, trace_id, hash, toStartOfHour(time);

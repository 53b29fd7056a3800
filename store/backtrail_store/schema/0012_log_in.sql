-- One row a log record, its values already text: what span_in is to spans. It keeps nothing.
CREATE TABLE IF NOT EXISTS log_in (
  project LowCardinality(String),
  received_time DateTime64(9, 'UTC'),
  resource Map(LowCardinality(String), LowCardinality(String)),
  resource_types Map(LowCardinality(String), LowCardinality(String)),
  scope_name LowCardinality(String),
  scope_version LowCardinality(String),
  trace_id String,
  span_id String,
  bad_ids String,
  hash UInt64,
  time UInt64,
  observed UInt64,
  severity Int32,
  severity_text LowCardinality(String),
  event_name LowCardinality(String),
  flags UInt32,
  dropped_attributes_count UInt32,
  body String,
  body_type LowCardinality(String),
  body_payload Array(String),
  texts Map(LowCardinality(String), String),
  types Map(LowCardinality(String), LowCardinality(String)),
  payload_keys Array(LowCardinality(String)),
  payload_texts Array(String)
) ENGINE = Null;

-- From the wire to one row a record. An id that is none is as good as no id, says OTLP; what it was is kept.
CREATE MATERIALIZED VIEW IF NOT EXISTS log_in_view TO log_in AS
WITH
  arrayJoin(arrayZip(envelopes.project, envelopes.received_unix_nano, envelopes.logs_resource_logs)) AS envelope,
  arrayJoin(envelope.3) AS resource_logs,
  arrayJoin(resource_logs.scope_logs) AS scope_logs,
  arrayJoin(arrayZip(scope_logs.log_records, arrayEnumerateUniq(arrayMap(x -> cityHash64(x), scope_logs.log_records)))) AS numbered,
  numbered.1 AS record,
  (id, size) -> length(id) = size AND id != repeat('\0', size) AS is_id,
  (name, id) -> concat(name, ' of ', toString(length(id)), ' bytes: ', lower(hex(substring(id, 1, 32))), ' ') AS described,
  if(record.event_name != '', record.event_name,
    arrayFirst(x -> x.key = 'event.name', record.attributes).value.string_value) AS event,
  backtrail_text(record.body) AS body_text,
  startsWith(event, 'gen_ai.') OR length(body_text) > 1024 AS is_body_payload
SELECT
  envelope.1 AS project,
  fromUnixTimestamp64Nano(toInt64(envelope.2)) AS received_time,
  backtrail_texts(resource_logs.resource_attributes) AS resource,
  backtrail_types(resource_logs.resource_attributes) AS resource_types,
  scope_logs.scope_name AS scope_name,
  scope_logs.scope_version AS scope_version,
  if(is_id(record.trace_id, 16), lower(hex(record.trace_id)), '') AS trace_id,
  if(is_id(record.span_id, 8), lower(hex(record.span_id)), '') AS span_id,
  concat(
    if(length(record.trace_id) IN (0, 16), '', described('trace_id', record.trace_id)),
    if(length(record.span_id) IN (0, 8), '', described('span_id', record.span_id))) AS bad_ids,
  cityHash64(resource_logs.resource_attributes, scope_logs.scope_name, scope_logs.scope_version, numbered) AS hash,
  record.time_unix_nano AS time,
  record.observed_time_unix_nano AS observed,
  record.severity_number AS severity,
  record.severity_text AS severity_text,
  event AS event_name,
  record.flags AS flags,
  record.dropped_attributes_count AS dropped_attributes_count,
  if(is_body_payload, '', body_text) AS body,
  toString(record.body.value) AS body_type,
  if(is_body_payload AND body_text != '', [body_text], []) AS body_payload,
  backtrail_texts(arrayFilter(x -> NOT backtrail_is_payload(x), record.attributes)) AS texts,
  backtrail_types(record.attributes) AS types,
  arrayFilter(x -> backtrail_is_payload(x), record.attributes).key AS payload_keys,
  arrayMap(x -> backtrail_text(x.value), arrayFilter(x -> backtrail_is_payload(x), record.attributes)) AS payload_texts
FROM otlp_logs_in
WHERE NOT dictHas('erased_traces', (project, trace_id));

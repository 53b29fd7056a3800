-- Log records in order of time: the first of some traces, or in some hours those of some hashes.
SELECT
  trace_id,
  span_id,
  toUnixTimestamp64Nano(time) AS time_unix_nano,
  toUnixTimestamp64Nano(observed_time) AS observed_time_unix_nano,
  toUnixTimestamp64Nano(received_time) AS received_unix_nano,
  hash,
  severity_number,
  severity_text,
  event_name,
  service_name,
  scope_name,
  scope_version,
  scope_schema_url,
  resource_schema_url,
  flags,
  dropped_attributes_count,
  resource_dropped_attributes_count,
  scope_dropped_attributes_count,
  flagged,
  body,
  body_type,
  body_payload,
  attributes,
  attribute_types,
  payloads,
  resource,
  resource_types,
  scope_attributes,
  scope_attribute_types
FROM logs FINAL
WHERE project = {project:String}
  AND trace_id IN {trace_ids:Array(String)}
  AND (empty({hashes:Array(UInt64)}) OR toStartOfHour(time) IN {hours:Array(DateTime('UTC'))} AND hash IN {hashes:Array(UInt64)})
ORDER BY time, hash
LIMIT {limit:UInt32}

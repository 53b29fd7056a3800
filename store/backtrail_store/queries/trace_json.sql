-- All spans of a trace, or those of some ids, as JSON written by ClickHouse: ten thousand objects in Python would take half a second.
-- `opening` is a span's object up to the last of its light attributes; the payloads are added from their pieces.
WITH
  (SELECT min(start_time) FROM spans WHERE project = {project:String} AND trace_id = {trace_id:String}) AS first,
  (SELECT max(start_time) FROM spans WHERE project = {project:String} AND trace_id = {trace_id:String}) AS last,
  (value, type) -> multiIf(
    type = '', toJSONString(value),
    type IN ('int', 'bool', 'array', 'json'), value,
    type = 'empty', 'null',
    type = 'bytes', concat('{"$bytes":"', value, '"}'),
    value = 'nan', '{"$double":"NaN"}',
    value = 'inf', '{"$double":"Infinity"}',
    value = '-inf', '{"$double":"-Infinity"}',
    match(value, '[.e]'), value,
    concat(value, '.0')) AS json_value,
  (texts, types) -> arrayStringConcat(arrayMap((key, value) -> concat(toJSONString(key), ':', json_value(value, types[key])),
    mapKeys(texts), mapValues(texts)), ',') AS json_members,
  (time) -> concat(replaceOne(toString(time), ' ', 'T'), 'Z') AS rfc3339,
  (time) -> fromUnixTimestamp64Nano(toInt64(least(time, 9000000000000000000)), 'UTC') AS moment
SELECT
  concat(
    substring(json, 1, length(json) - 1),
    ',"scope":', substring(scope_json, 1, length(scope_json) - 1),
    ',"attributes":{', json_members(scope_attributes, scope_attribute_types),
    '}},"resource":{', json_members(resource, resource_types),
    '},"events":[', arrayStringConcat(arrayMap(x -> concat('{"time_unix_nano":', toString(x.time_unix_nano),
      ',"time":"', rfc3339(moment(x.time_unix_nano)), '","name":', toJSONString(x.name),
      ',"attributes":{', json_members(x.attributes, x.attribute_types),
      '},"dropped_attributes_count":', toString(x.dropped_attributes_count), '}'), events), ','),
    '],"links":[', arrayStringConcat(arrayMap(x -> concat('{"trace_id":"', x.trace_id, '","span_id":"', x.span_id,
      '","trace_state":', toJSONString(x.trace_state),
      ',"attributes":{', json_members(x.attributes, x.attribute_types),
      '},"dropped_attributes_count":', toString(x.dropped_attributes_count), ',"flags":', toString(x.flags), '}'), links), ','),
    '],"attributes":{', json_members(
      if(flagged = '', attributes, mapUpdate(attributes, CAST(map('backtrail.flagged', flagged), 'Map(LowCardinality(String), String)'))),
      attribute_types)) AS opening,
  span_id,
  mapKeys(payloads) AS payload_keys,
  arrayMap(x -> attribute_types[x], mapKeys(payloads)) AS payload_types,
  arrayMap(x -> toString(x.form), mapValues(payloads)) AS payload_forms,
  arrayMap(x -> x.hashes, mapValues(payloads)) AS payload_hashes,
  toUnixTimestamp64Nano(start_time) AS start_time_unix_nano,
  toUnixTimestamp64Nano(received_time) AS received_unix_nano
FROM (
  WITH
    backtrail_price_key(project, provider_name, request_model, response_model, start_time, input_tokens, output_tokens) AS price_key,
    backtrail_cost_parts(price_key, provider_name, start_time, input_tokens, output_tokens, cache_read_input_tokens,
      cache_write_input_tokens, reasoning_output_tokens, input_audio_tokens, output_audio_tokens) AS cost_parts,
    backtrail_cost(cost_parts, reported_cost_usd, price_key) AS cost
  SELECT *, toJSONString(CAST(tuple(
    span_id, nullIf(parent_span_id, ''), name, kind, tuple(status_code, status_message),
    toUnixTimestamp64Nano(start_time), toUnixTimestamp64Nano(start_time) + duration_ns,
    rfc3339(start_time), rfc3339(fromUnixTimestamp64Nano(toInt64(toUnixTimestamp64Nano(start_time) + duration_ns), 'UTC')),
    duration_ns, is_pending, service_name, trace_state, flags, resource_schema_url,
    dropped_attributes_count, dropped_events_count, dropped_links_count, resource_dropped_attributes_count,
    nullIf(backtrail_kind, ''), nullIf(step_kind, ''), nullIf(dialect, ''), nullIf(operation_name, ''),
    nullIf(workflow_name, ''), nullIf(agent_name, ''), nullIf(agent_id, ''),
    nullIf(agent_key, ''), nullIf(tool_name, ''), nullIf(tool_call_id, ''), nullIf(query, ''), nullIf(task_id, ''), nullIf(parent_task_id, ''),
    task_chain, depth, retry_count, nullIf(conversation_id, ''), nullIf(user_id, ''), nullIf(environment, ''),
    nullIf(release, ''), tags, nullIf(prompt_name, ''), nullIf(prompt_version, ''),
    nullIf(provider_name, ''), nullIf(request_model, ''), nullIf(response_model, ''),
    nullIf(response_id, ''), finish_reasons, time_to_first_token_ns,
    input_tokens, output_tokens, cache_read_input_tokens, cache_write_input_tokens, reasoning_output_tokens,
    input_audio_tokens, output_audio_tokens,
    reported_cost_usd, cost.7, cost, nullIf(error_type, ''), nullIf(step_key, ''), seq, replayed),
    'Tuple(span_id String, parent_span_id Nullable(String), name String, kind String,
      status Tuple(code String, message String), start_time_unix_nano Int64, end_time_unix_nano Int64,
      start_time String, end_time String, duration_ns UInt64, is_pending Bool, service_name String,
      trace_state String, flags UInt32, resource_schema_url String, dropped_attributes_count UInt32,
      dropped_events_count UInt32, dropped_links_count UInt32, resource_dropped_attributes_count UInt32,
      backtrail_kind Nullable(String), step_kind Nullable(String), dialect Nullable(String), operation_name Nullable(String),
      workflow_name Nullable(String), agent_name Nullable(String), agent_id Nullable(String), agent_key Nullable(String), tool_name Nullable(String), tool_call_id Nullable(String),
      query Nullable(String), task_id Nullable(String), parent_task_id Nullable(String), task_chain Array(String), depth UInt16,
      retry_count UInt16, conversation_id Nullable(String), user_id Nullable(String), environment Nullable(String),
      release Nullable(String), tags Array(String), prompt_name Nullable(String), prompt_version Nullable(String),
      provider_name Nullable(String), request_model Nullable(String), response_model Nullable(String),
      response_id Nullable(String), finish_reasons Array(String), time_to_first_token_ns Nullable(UInt64),
      input_tokens Nullable(UInt32), output_tokens Nullable(UInt32), cache_read_input_tokens Nullable(UInt32),
      cache_write_input_tokens Nullable(UInt32), reasoning_output_tokens Nullable(UInt32),
      input_audio_tokens Nullable(UInt32), output_audio_tokens Nullable(UInt32),
      reported_cost_usd Nullable(Float64), cost_usd Nullable(Decimal(38, 12)),
      cost Tuple(input Nullable(Decimal(38, 12)), cache_read Nullable(Decimal(38, 12)), cache_write Nullable(Decimal(38, 12)),
        output Nullable(Decimal(38, 12)), reasoning Nullable(Decimal(38, 12)), request Nullable(Decimal(38, 12)),
        total Nullable(Decimal(38, 12)), computed Nullable(Decimal(38, 12)), source Nullable(String)),
      error_type Nullable(String),
      step_key Nullable(String), seq UInt64, replayed Bool)')) AS json,
    toJSONString(CAST(tuple(scope_name, scope_version, scope_schema_url, scope_dropped_attributes_count),
      'Tuple(name String, version String, schema_url String, dropped_attributes_count UInt32)')) AS scope_json
  FROM spans FINAL
  WHERE project = {project:String}
    AND trace_id = {trace_id:String}
    AND (empty({span_ids:Array(String)}) OR span_id IN {span_ids:Array(String)})
    AND toStartOfHour(start_time) BETWEEN toStartOfHour(first) AND toStartOfHour(last)
)
ORDER BY start_time, span_id

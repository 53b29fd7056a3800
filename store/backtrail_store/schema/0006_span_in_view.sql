-- From the wire to one row a span; none of an erased trace.
CREATE MATERIALIZED VIEW IF NOT EXISTS span_in_view TO span_in AS
WITH
  arrayJoin(envelopes) AS envelope,
  arrayJoin(envelope.request_resource_spans) AS resource_spans,
  arrayJoin(resource_spans.scope_spans) AS scope_spans,
  arrayJoin(scope_spans.spans) AS span
SELECT
  envelope.project AS project,
  fromUnixTimestamp64Nano(toInt64(envelope.received_unix_nano)) AS received_time,
  backtrail_texts(resource_spans.resource_attributes) AS resource,
  backtrail_types(resource_spans.resource_attributes) AS resource_types,
  resource_spans.schema_url AS resource_schema_url,
  scope_spans.scope_name AS scope_name,
  scope_spans.scope_version AS scope_version,
  backtrail_texts(scope_spans.scope_attributes) AS scope_attributes,
  backtrail_types(scope_spans.scope_attributes) AS scope_attribute_types,
  scope_spans.schema_url AS scope_schema_url,
  lower(hex(span.trace_id)) AS trace_id,
  lower(hex(span.span_id)) AS span_id,
  lower(hex(span.parent_span_id)) AS parent_span_id,
  span.trace_state AS trace_state,
  span.flags AS flags,
  span.name AS name,
  span.kind AS kind,
  span.status_code AS status_code,
  span.status_message AS status_message,
  span.start_time_unix_nano AS start,
  span.end_time_unix_nano AS end,
  backtrail_texts(arrayFilter(x -> NOT backtrail_is_payload(x), span.attributes)) AS texts,
  arraySort(x -> x.1, arrayMap(x -> tuple(backtrail_rank(x.key), backtrail_text(x.value)), arrayFilter(x -> backtrail_rank(x.key) != 0, span.attributes))) AS said,
  backtrail_types(span.attributes) AS types,
  arrayFirst(x -> x.key = 'backtrail.task.chain', span.attributes).value.array_value_values_string_value AS task_chain,
  arrayFilter(x -> backtrail_is_payload(x), span.attributes).key AS payload_keys,
  arrayMap(x -> backtrail_text(x.value), arrayFilter(x -> backtrail_is_payload(x), span.attributes)) AS payload_texts,
  arrayMap(x -> tuple(x.time_unix_nano, x.name, backtrail_texts(x.attributes), backtrail_types(x.attributes), x.dropped_attributes_count), span.events) AS events,
  arrayMap(x -> tuple(lower(hex(x.trace_id)), lower(hex(x.span_id)), x.trace_state, backtrail_texts(x.attributes), backtrail_types(x.attributes), x.dropped_attributes_count, x.flags), span.links) AS links,
  span.dropped_attributes_count AS dropped_attributes_count,
  span.dropped_events_count AS dropped_events_count,
  span.dropped_links_count AS dropped_links_count,
  resource_spans.resource_dropped_attributes_count AS resource_dropped_attributes_count,
  scope_spans.scope_dropped_attributes_count AS scope_dropped_attributes_count
FROM otlp_in
WHERE NOT dictHas('erased_traces', (project, trace_id));

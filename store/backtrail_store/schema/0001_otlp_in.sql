-- The door for raw OTLP: ClickHouse parses Batch (envelope.proto) into this table, which keeps nothing; the views do.
-- Column names follow the parser's rule: a nested message flattens into its field names joined by underscores.
-- `value` is the presence of the oneof: it tells 0 and "" from absent, and names the attribute's type.
CREATE TABLE IF NOT EXISTS otlp_in (
  envelopes Array(Tuple(
    project String,
    received_unix_nano UInt64,
    request_resource_spans Array(Tuple(
      resource_attributes Array(Tuple(key String, value Tuple(
        value Enum8('empty' = 0, 'string' = 1, 'bool' = 2, 'int' = 3, 'double' = 4, 'array' = 5, 'json' = 6, 'bytes' = 7),
        string_value String, bool_value UInt8, int_value Int64, double_value Float64,
        array_value_values_string_value Array(String), json_value String, bytes_value String))),
      resource_dropped_attributes_count UInt32,
      schema_url String,
      scope_spans Array(Tuple(
        scope_name String,
        scope_version String,
        scope_attributes Array(Tuple(key String, value Tuple(
          value Enum8('empty' = 0, 'string' = 1, 'bool' = 2, 'int' = 3, 'double' = 4, 'array' = 5, 'json' = 6, 'bytes' = 7),
          string_value String, bool_value UInt8, int_value Int64, double_value Float64,
          array_value_values_string_value Array(String), json_value String, bytes_value String))),
        scope_dropped_attributes_count UInt32,
        schema_url String,
        spans Array(Tuple(
          trace_id String,
          span_id String,
          trace_state String,
          parent_span_id String,
          name String,
          kind Int32,
          start_time_unix_nano UInt64,
          end_time_unix_nano UInt64,
          attributes Array(Tuple(key String, value Tuple(
            value Enum8('empty' = 0, 'string' = 1, 'bool' = 2, 'int' = 3, 'double' = 4, 'array' = 5, 'json' = 6, 'bytes' = 7),
            string_value String, bool_value UInt8, int_value Int64, double_value Float64,
            array_value_values_string_value Array(String), json_value String, bytes_value String))),
          dropped_attributes_count UInt32,
          events Array(Tuple(time_unix_nano UInt64, name String, attributes Array(Tuple(key String, value Tuple(
            value Enum8('empty' = 0, 'string' = 1, 'bool' = 2, 'int' = 3, 'double' = 4, 'array' = 5, 'json' = 6, 'bytes' = 7),
            string_value String, bool_value UInt8, int_value Int64, double_value Float64,
            array_value_values_string_value Array(String), json_value String, bytes_value String))),
            dropped_attributes_count UInt32)),
          dropped_events_count UInt32,
          links Array(Tuple(trace_id String, span_id String, trace_state String, attributes Array(Tuple(key String, value Tuple(
            value Enum8('empty' = 0, 'string' = 1, 'bool' = 2, 'int' = 3, 'double' = 4, 'array' = 5, 'json' = 6, 'bytes' = 7),
            string_value String, bool_value UInt8, int_value Int64, double_value Float64,
            array_value_values_string_value Array(String), json_value String, bytes_value String))),
            dropped_attributes_count UInt32, flags UInt32)),
          dropped_links_count UInt32,
          status_message String,
          status_code Int32,
          flags UInt32))))))))
) ENGINE = Null;

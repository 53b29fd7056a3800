-- What the views say of an attribute, said once. ClickHouse writes these into a view when the view is made, so they
-- are needed only here; a change to one needs the views made anew.

-- One attribute's value as text.
CREATE OR REPLACE FUNCTION backtrail_text AS (value) -> multiIf(
  tupleElement(value, 'value') = 'string', tupleElement(value, 'string_value'),
  tupleElement(value, 'value') = 'int', toString(tupleElement(value, 'int_value')),
  tupleElement(value, 'value') = 'double', toString(tupleElement(value, 'double_value')),
  tupleElement(value, 'value') = 'bool', if(tupleElement(value, 'bool_value') = 1, 'true', 'false'),
  tupleElement(value, 'value') = 'array', toJSONString(tupleElement(value, 'array_value_values_string_value')),
  tupleElement(value, 'value') = 'json', tupleElement(value, 'json_value'),
  tupleElement(value, 'value') = 'bytes', base64Encode(tupleElement(value, 'bytes_value')),
  '');

-- Some dialects write every value as JSON, so that a text comes in quotes, and one an integer as an object.
CREATE OR REPLACE FUNCTION backtrail_unquoted AS (text) -> multiIf(
  length(text) > 1 AND startsWith(text, '"') AND endsWith(text, '"'), substring(text, 2, length(text) - 2),
  startsWith(text, '{"intValue":'), extract(text, '-?[0-9]+'),
  text);

-- Several values in one text: a JSON list, or words with commas between them.
CREATE OR REPLACE FUNCTION backtrail_list AS (text) -> multiIf(
  text = '', [],
  startsWith(text, '['), JSONExtract(text, 'Array(String)'),
  splitByString(', ', text));

-- How long it took until something came, from seconds, milliseconds or the time it came, whichever is said.
CREATE OR REPLACE FUNCTION backtrail_nanoseconds AS (seconds, milliseconds, time, start_time) -> multiIf(
  seconds != '', toUInt64OrNull(toString(round(toFloat64OrNull(seconds) * 1000000000))),
  milliseconds != '', toUInt64OrNull(toString(round(toFloat64OrNull(milliseconds) * 1000000))),
  time != '', nullIf(greatest(toUnixTimestamp64Nano(parseDateTime64BestEffortOrZero(translate(time, '\\"', ''), 9, 'UTC')) - toUnixTimestamp64Nano(start_time), 0), 0),
  NULL);

-- All attributes as a map of texts, and the types of those that are not strings.
CREATE OR REPLACE FUNCTION backtrail_texts AS (attributes) ->
  mapFromArrays(arrayMap(x -> x.key, attributes), arrayMap(x -> backtrail_text(x.value), attributes));

CREATE OR REPLACE FUNCTION backtrail_types AS (attributes) -> mapFromArrays(
  arrayMap(x -> x.key, arrayFilter(x -> x.value.value != 'string', attributes)),
  arrayMap(x -> toString(x.value.value), arrayFilter(x -> x.value.value != 'string', attributes)));

-- A chat history is a JSON list whose messages begin with their role. A quote inside a JSON string is escaped, so
-- `,{"role"` can stand only between messages, and cutting there is undone exactly by joining: the text comes back
-- byte for byte, whatever wrote it. The form says how it was cut.
CREATE OR REPLACE FUNCTION backtrail_form AS (text) -> multiIf(
  NOT endsWith(text, '}]'), 'whole',
  startsWith(text, '[{"role": '), 'spaced list',
  startsWith(text, '[{"role":'), 'list',
  'whole');

CREATE OR REPLACE FUNCTION backtrail_pieces AS (text) -> multiIf(
  backtrail_form(text) = 'spaced list',
    arrayMap(x -> concat('{"role"', x), splitByString(', {"role"', substring(text, 9, length(text) - 9))),
  backtrail_form(text) = 'list',
    arrayMap(x -> concat('{"role"', x), splitByString(',{"role"', substring(text, 9, length(text) - 9))),
  [text]);

-- As spans and logs keep a payload: how it was cut, and the hashes of its pieces.
CREATE OR REPLACE FUNCTION backtrail_payload AS (text) -> tuple(backtrail_form(text), arrayMap(x -> cityHash64(x), backtrail_pieces(text)));

-- Keys and texts of those attributes that are kept as they are, and of those that are payloads.
CREATE OR REPLACE FUNCTION backtrail_payload_flags AS (keys, texts) -> arrayMap((key, text) -> backtrail_is_payload(key, text), keys, texts);

CREATE OR REPLACE FUNCTION backtrail_with AS (values, flags) -> arrayFilter((x, flag) -> flag, values, flags);

CREATE OR REPLACE FUNCTION backtrail_without AS (values, flags) -> arrayFilter((x, flag) -> NOT flag, values, flags);

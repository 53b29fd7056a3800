-- Kept out of the attributes: what was said, and whatever is long.
CREATE OR REPLACE FUNCTION backtrail_is_payload AS (key, text) -> length(text) > 1024 OR key IN (
  $payloads);

-- Each attribute of a span is looked up once among all that are asked for: see conventions/sql.py for what its rank says.
-- 0 for one that nobody asks for.
CREATE OR REPLACE FUNCTION backtrail_rank AS (key) -> transform(key,
  $attributes,
  $ranks, toUInt32(0));

CREATE OR REPLACE FUNCTION backtrail_column_of AS (rank) -> toUInt8(bitAnd(bitShiftRight(rank, 2), 127));

-- Dialects by their order in the table.
CREATE OR REPLACE FUNCTION backtrail_dialect_of AS (rank) -> toUInt8(bitAnd(bitShiftRight(rank, 9), 31));

-- Empty for the last, which is no dialect.
CREATE OR REPLACE FUNCTION backtrail_dialect_name AS (number) ->
  $dialects[number];

CREATE OR REPLACE FUNCTION backtrail_scope_dialect AS (scope) -> multiIf(
  $scopes,
  '');

CREATE OR REPLACE FUNCTION backtrail_names_spans AS (dialect) -> has($naming_dialects, toString(dialect));

-- Whether an attribute answers, so that no later one is asked. An empty one does not, nor a framework that names itself
-- as the provider, nor a bare word in another scope than that of the dialect that uses it.
CREATE OR REPLACE FUNCTION backtrail_answers AS (rank, text, scope_dialect) -> rank > $object AND text != ''
  AND (bitAnd(rank, 3) = 0
    OR bitAnd(rank, 3) = 2 AND NOT has($no_providers, text)
    OR bitAnd(rank, 3) = 1 AND scope_dialect = backtrail_dialect_name(backtrail_dialect_of(rank)));

-- The members of the objects among these attributes, as attributes with dotted names, three levels deep. Python's way
-- to write an object is read as JSON's.
CREATE OR REPLACE FUNCTION backtrail_members AS (attributes) -> arrayFlatten(arrayMap(
  x -> arrayMap(y -> tuple(concat(x.1, '.', y.1), y.2),
    JSONExtractKeysAndValuesRaw(if(startsWith(x.2, '{\''), replaceAll(x.2, '\'', '"'), x.2))),
  arrayFilter(x -> startsWith(x.2, '{'), attributes)));

CREATE OR REPLACE FUNCTION backtrail_all_members AS (objects) -> arrayConcat(
  backtrail_members(objects),
  backtrail_members(backtrail_members(objects)),
  backtrail_members(backtrail_members(backtrail_members(objects))));

CREATE OR REPLACE FUNCTION backtrail_ranks AS (keys) -> arrayMap(key -> backtrail_rank(key), keys);

-- Whatever is done with each object is done within one function: in spans without objects, which are most, it then
-- works on nothing.
CREATE OR REPLACE FUNCTION backtrail_answers_of_members AS (keys, texts, ranks, scope_dialect) -> arrayFlatten(arrayMap(
  object -> arrayFilter(x -> backtrail_answers(x.1, x.2, scope_dialect), arrayMap(
    x -> tuple(backtrail_rank(x.1), backtrail_unquoted(x.2)), backtrail_all_members([object]))),
  arrayFilter((x, rank) -> rank = $object, arrayZip(keys, texts), ranks)));

-- Rank and text of what is asked for among a span's attributes, in the order in which it is asked. ClickHouse analyses a
-- view at every insert, so what is long stands in it once: `ranks` are those of the keys, `flags` tell who answers.
CREATE OR REPLACE FUNCTION backtrail_answer_flags AS (ranks, texts, scope_dialect) -> arrayMap(
  (rank, text) -> backtrail_answers(rank, text, scope_dialect), ranks, texts);

CREATE OR REPLACE FUNCTION backtrail_answers_of AS (keys, texts, ranks, flags, scope_dialect) -> arraySort(x -> x.1, arrayConcat(
  arrayZip(backtrail_with(ranks, flags), arrayMap(x -> backtrail_unquoted(x), backtrail_with(texts, flags))),
  backtrail_answers_of_members(keys, texts, ranks, scope_dialect)));

-- A column each, from the answers as a map by their numbers.
$columns

CREATE OR REPLACE FUNCTION backtrail_says_kind AS (rank) -> rank <= $last_kind;

CREATE OR REPLACE FUNCTION backtrail_kind_said AS (rank, value) -> transform(concat(toString(rank), ' ', value),
  $values_of_kinds,
  $kinds, '');

-- By OpenTelemetry's name, if all of it or its first part is a spelling of one: `openai.chat` is openai.
CREATE OR REPLACE FUNCTION backtrail_provider AS (said) -> transform(lower(said),
  $spellings_of_providers,
  $providers,
  transform(substringIndex(lower(said), '.', 1),
    $spellings_of_providers,
    $providers,
    said));

CREATE OR REPLACE FUNCTION backtrail_finish_reasons AS (said) -> arrayMap(x -> transform(x,
  $spellings_of_reasons,
  $reasons, x), backtrail_list(said));

-- Each attribute of a span is looked up once among all that are asked for, and gets a rank: the lower, the earlier it is
-- asked. 0 for one that nobody asks for.
CREATE OR REPLACE FUNCTION backtrail_rank AS (key) -> transform(key,
  $attributes,
  $ranks, 0);

CREATE OR REPLACE FUNCTION backtrail_column_of AS (rank) ->
  $columns[rank];

-- Dialects by their order in the table.
CREATE OR REPLACE FUNCTION backtrail_dialect_of AS (rank) ->
  $dialects_of_ranks[rank];

-- Empty for the last, which is no dialect.
CREATE OR REPLACE FUNCTION backtrail_dialect_name AS (number) ->
  $dialects[number];

CREATE OR REPLACE FUNCTION backtrail_scope_dialect AS (scope) -> multiIf(
  $scopes,
  '');

-- Whether an answer is none, so that the next attribute is asked: an empty one, a framework that names itself as the
-- provider, or a bare word in another scope than that of the dialect that uses it.
CREATE OR REPLACE FUNCTION backtrail_says_nothing AS (rank, value, scope_dialect) -> value = ''
  OR has($ranks_of_provider, rank) AND has($no_providers, value)
  OR has($ranks_of_bare_words, rank) AND scope_dialect != backtrail_dialect_name(backtrail_dialect_of(rank));

CREATE OR REPLACE FUNCTION backtrail_says_kind AS (rank) -> has($ranks_of_kinds, rank);

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

CREATE OR REPLACE FUNCTION backtrail_excludes_cache AS (dialect) -> has($dialects_without_cache, toString(dialect));

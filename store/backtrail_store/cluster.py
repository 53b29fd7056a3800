"""The schema's statements as a cluster needs them, from the same files as one server's.

    schema/*.sql → migrations → **cluster** → every node

`otlp_in` and the other doors (ENGINE = Null), views, dictionaries and functions stand on every node, so that any node
takes an insert and answers a question. A table that is large, which is one with partitions, is split over the shards:
`spans_local`, which is replicated within its shard, and before it `spans`, which is Distributed. All versions of a row
are on one shard, where FINAL finds them, because the shard is chosen by project and trace. All other tables are small
and are the same everywhere: one group of replicas over the whole cluster.

What is not known here is refused rather than guessed: a new kind of statement wants a rule of its own.
"""

import re
from collections.abc import Iterator

from backtrail_store.errors import StoreError

SUFFIX = "_local"
# By names, not by the table's UUID: a node that joins later makes the same path from the same files. The servers fill
# in {shard} and {replica} from their configuration, {database} and {table} by themselves.
_SHARD_PATH = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
_SHARED_PATH = "'/clickhouse/tables/all/{database}/{table}', '{shard}-{replica}'"
_SHARDING_COLUMNS = ("project", "trace_id")
# A batch may have waited in the inbox for days when its insert is tried again.
_WINDOW_SECONDS = 7 * 86_400

_ON_EVERY_NODE = re.compile(
    r"(?P<head>CREATE (?:(?:MATERIALIZED VIEW|VIEW|DICTIONARY|DATABASE) IF NOT EXISTS|OR REPLACE FUNCTION)) "
    r"(?P<name>\w+|`[^`]+`)(?P<rest>.*)",
    re.DOTALL,
)
_CREATE_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (?P<name>\w+) (?=\()(?P<rest>.*)", re.DOTALL)
_ENGINE = re.compile(r"\s*ENGINE = (?P<engine>\w+)(?:\((?P<arguments>[^()]*)\))?(?P<rest>\s.*|)", re.DOTALL)
_ABOUT_ROWS = re.compile(
    r"(?P<verb>ALTER TABLE|TRUNCATE TABLE|OPTIMIZE TABLE|DELETE FROM) (?P<name>\w+)(?P<action>.*)", re.DOTALL
)
_COLUMNS_CHANGE = re.compile(r" (?:ADD|DROP|MODIFY|RENAME|COMMENT) COLUMN ")
_SOURCE = re.compile(r"\bFROM (\w+)")
_SYSTEM_TABLE = re.compile(r"\b(system\.\w+)")
_DICTIONARY_CALL = re.compile(r"\b(dict(?:Get|Has)\w*\()'(\w+)'")


class ClusterSchema:
    """Statements have to come in the order in which they are applied: an ALTER follows its table."""

    def __init__(self, cluster: str, database: str) -> None:
        self._cluster = quoted(cluster)
        self._database = database
        self._doors: set[str] = set()
        self._split: set[str] = set()
        self._shared: set[str] = set()
        self._views: set[str] = set()

    def render(self, statement: str) -> Iterator[str]:
        """Raises StoreError for a statement that has no rule."""
        # A query that comes from another node has another database at hand.
        statement = _DICTIONARY_CALL.sub(rf"\1'{self._database}.\2'", statement)
        if found := _CREATE_TABLE.fullmatch(statement):
            yield from self._table(found["name"], found["rest"])
        elif found := _ABOUT_ROWS.fullmatch(statement):
            yield from self._about_rows(found["verb"], found["name"], found["action"])
        elif found := _ON_EVERY_NODE.fullmatch(statement):
            if "MATERIALIZED" in found["head"]:
                self._check_view(found["name"], found["rest"])
                self._views.add(found["name"])
            # Nodes are not told of new prices one by one.
            rest = found["rest"].replace("LIFETIME(0)", "LIFETIME(MIN 30 MAX 60)")
            yield f"{found['head']} {found['name']} {self._on_cluster}{rest}"
        else:
            raise StoreError(f"There is no rule for this statement in a cluster: {_opening(statement)}")

    def everywhere(self, query: str) -> str:
        """A question about the system tables of one node, asked of all."""
        query = _SYSTEM_TABLE.sub(rf"clusterAllReplicas({self._cluster}, \1)", query)
        return query.replace("currentDatabase()", quoted(self._database))

    def stored(self, table: str) -> str:
        """The table that has the rows: what DROP PARTITION and the like are said to."""
        return table + SUFFIX if table in self._split else table

    @property
    def _on_cluster(self) -> str:
        return f"ON CLUSTER {self._cluster}"

    def _table(self, name: str, rest: str) -> Iterator[str]:
        end = _closing_parenthesis(rest) + 1
        columns, found = rest[:end], _ENGINE.fullmatch(rest[end:])
        if found is None:
            raise StoreError(f"The table {name} names no engine behind its columns.")
        if found["engine"] == "Null":
            self._doors.add(name)
            yield f"CREATE TABLE IF NOT EXISTS {name} {self._on_cluster} {rest}"
            return
        if not found["engine"].endswith("MergeTree"):
            raise StoreError(f"There is no rule for the engine {found['engine']} of the table {name} in a cluster.")
        is_split = "PARTITION BY" in found["rest"]
        if is_split and not all(re.search(rf"^\s*{column} ", columns, re.MULTILINE) for column in _SHARDING_COLUMNS):
            raise StoreError(
                f"The table {name} is partitioned, and has no {' and '.join(_SHARDING_COLUMNS)} to split it by."
            )
        (self._split if is_split else self._shared).add(name)
        arguments = ", ".join(filter(None, (_SHARD_PATH if is_split else _SHARED_PATH, found["arguments"])))
        yield (
            f"CREATE TABLE IF NOT EXISTS {self.stored(name)} {self._on_cluster} {columns}\n"
            f"ENGINE = Replicated{found['engine']}({arguments}){_replicated_settings(found['rest'])}"
        )
        if is_split:
            yield (
                f"CREATE TABLE IF NOT EXISTS {name} {self._on_cluster} AS {self.stored(name)}\n"
                f"ENGINE = Distributed({self._cluster}, {quoted(self._database)}, {self.stored(name)}, "
                f"cityHash64({', '.join(_SHARDING_COLUMNS)}))"
            )

    def _about_rows(self, verb: str, name: str, action: str) -> Iterator[str]:
        if name not in self._split | self._shared | self._doors | self._views:
            raise StoreError(f"There is no table {name} in this cluster: {verb} {name}{_opening(action)}")
        yield f"{verb} {self.stored(name)} {self._on_cluster}{action}"
        if name in self._split and _COLUMNS_CHANGE.match(action):
            yield f"{verb} {name} {self._on_cluster}{action}"

    def _check_view(self, name: str, rest: str) -> None:
        """A view sees what is inserted on its own node, which is all of it only at a door."""
        sources = set(_SOURCE.findall(rest))
        if not sources or sources - self._doors:
            raise StoreError(f"The materialized view {name} has to read from a table with ENGINE = Null in a cluster.")


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _replicated_settings(rest: str) -> str:
    """What comes after the engine, with the window of remembered inserts under the name that replicas know it by."""
    return rest.replace(
        "non_replicated_deduplication_window =",
        f"replicated_deduplication_window_seconds = {_WINDOW_SECONDS}, replicated_deduplication_window =",
    )


def _closing_parenthesis(text: str) -> int:
    """Where the parenthesis ends with which the text begins; those in strings do not count."""
    depth = 0
    for token in re.finditer(r"'(?:[^'\\]|\\.|'')*'|[()]", text):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if depth == 0:
            return token.start()
    raise StoreError(f"A parenthesis is not closed: {_opening(text)}")


def _opening(statement: str) -> str:
    return " ".join(statement.split())[:80]

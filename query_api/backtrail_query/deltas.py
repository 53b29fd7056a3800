"""State changes as the SDK writes them, checked once on the way in.

    attributes → **deltas** → records → fold

A delta is what one write did to one scope (the run, or an agent by its key): a few operations on keys, each with
the hash of the key's value before and after. Those two hashes are what makes a lost write visible.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from backtrail_query.errors import UnreadableDelta

OpKind: TypeAlias = Literal["set", "delete", "append", "text", "merge"]
Values: TypeAlias = dict[str, dict[str, object]]  # scope → key → encoded value

_OP_KINDS: frozenset[str] = frozenset(get_args(OpKind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One change of one key. `prev` and `hash` are None where the key was or became absent."""

    kind: OpKind
    key: str
    prev: str | None
    hash: str | None
    body: Mapping[str, object]

    def apply(self, value: object) -> object:
        """The key's new encoded value; deleting is the caller's, since it leaves none."""
        match self.kind:
            case "set" | "delete":
                return self.body.get("value")
            case "append":
                items = value if isinstance(value, list) else []
                return [*items[: self._offset(len(items))], *self._list("values")]
            case "text":
                head = value if isinstance(value, str) else ""
                return head[: self._offset(len(head))] + self._text("suffix")
            case "merge":
                fields = dict(value) if isinstance(value, dict) else {}
                for name in self._list("delete"):
                    fields.pop(name, None)
                return fields | self._object("set")

    def _offset(self, length: int) -> int:
        offset = self.body.get("from", length)
        if not isinstance(offset, int) or offset < 0:
            raise UnreadableDelta(f"{self.kind} on {self.key!r} begins at {offset!r}")
        return offset

    def _list(self, name: str) -> list[object]:
        value = self.body.get(name, [])
        if not isinstance(value, list):
            raise UnreadableDelta(f"{self.kind} on {self.key!r}: {name!r} is no list")
        return value

    def _text(self, name: str) -> str:
        value = self.body.get(name, "")
        if not isinstance(value, str):
            raise UnreadableDelta(f"{self.kind} on {self.key!r}: {name!r} is no text")
        return value

    def _object(self, name: str) -> dict[str, object]:
        value = self.body.get(name, {})
        if not isinstance(value, dict):
            raise UnreadableDelta(f"{self.kind} on {self.key!r}: {name!r} is no object")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    seq: int
    scope: str
    ops: tuple[Op, ...]


def read_deltas(payload: object) -> list[Delta]:
    """The deltas of one attribute; an absent or cut attribute holds none, and the next `prev` will say so."""
    if not isinstance(payload, list):
        return []
    return [_read_delta(one) for one in payload]


def write_delta(delta: Delta) -> dict[str, object]:
    """A delta in the shape it came in."""
    ops = [{**op.body, "op": op.kind, "key": op.key, "prev": op.prev, "hash": op.hash} for op in delta.ops]
    return {"seq": delta.seq, "scope": delta.scope, "ops": ops}


def read_values(payload: object) -> Values:
    if not isinstance(payload, dict):
        return {}
    return {scope: dict(values) for scope, values in payload.items() if isinstance(values, dict)}


def merge_parts(parts: Iterable[Values]) -> Values:
    """The values of a snapshot that was cut by key: a scope may stand in several parts."""
    values: Values = {}
    for part in parts:
        for scope, keys in part.items():
            values.setdefault(scope, {}).update(keys)
    return values


def _read_delta(one: object) -> Delta:
    match one:
        case {"seq": int(seq), "scope": str(scope), "ops": list(ops)}:
            return Delta(seq=seq, scope=scope, ops=tuple(_read_op(op) for op in ops))
    raise UnreadableDelta("a delta is not {seq, scope, ops}")


def _read_op(one: object) -> Op:
    match one:
        case {"op": str(kind), "key": str(key), **body} if kind in _OP_KINDS:
            prev, hash_ = body.pop("prev", None), body.pop("hash", None)
            return Op(
                kind=kind,  # type: ignore[arg-type]
                key=key,
                prev=prev if isinstance(prev, str) else None,
                hash=hash_ if isinstance(hash_, str) else None,
                body={str(name): value for name, value in body.items()},
            )
    raise UnreadableDelta(f"an operation of unknown shape: {str(one)[:100]}")

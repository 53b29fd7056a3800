"""One key's value in the state of a run: its encoding, its hash, and what of it is recorded.

    set_state → **StateValue** → State.set → delta

Agents keep histories, and set the whole list each time. So what stands at its place as it did is neither encoded nor
hashed again: comparing it with the encoding before is enough.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from backtrail._payloads.codec import Encoded, encode
from backtrail._payloads.content import is_over, json_text, truncated
from backtrail._payloads.decode import decode
from backtrail.canonical import canonical_text, list_hash, text_hash

if TYPE_CHECKING:
    from backtrail._runs.run import RunRuntime

_TEXT = frozenset({str, type(None)})
_ATOMS = frozenset({str, int, float, bool, type(None)})


class StateValue:
    """The value as it was when it was set. `handed` is the object itself, which the program may go on changing."""

    __slots__ = ("encoded", "handed", "hash", "item_hashes", "item_sizes", "original", "recorded")

    def __init__(
        self,
        encoded: Encoded,
        value: Any,
        limit: int | None = None,
        *,
        items: tuple[list[str], list[int]] | None = None,
        handed: Any = None,
    ) -> None:
        self.encoded = encoded.json
        self.original: Any = None if encoded.is_plain else _copy(value)
        self.handed = handed
        self.item_hashes: list[str] | None = None
        self.item_sizes: list[int] = []
        if isinstance(self.encoded, list):
            self.item_hashes, self.item_sizes = _hashed(self.encoded) if items is None else items
            self.hash = list_hash(self.item_hashes)
            size = sum(self.item_sizes)
        else:
            text = canonical_text(self.encoded)
            self.hash = text_hash(text)
            size = len(text)
        is_recordable = limit is None or size * 4 <= limit or not is_over(json_text(self.encoded), limit)
        # Over the limit only a stub is recorded. The hash stays that of the value, so the root still holds.
        self.recorded = self.encoded if is_recordable else truncated(json_text(self.encoded), limit or 0)

    @classmethod
    def of(cls, value: Any, runtime: RunRuntime, before: StateValue | None) -> StateValue:
        """What the program hands over. What it has in common with the value `before` is taken over from there."""
        recorder = runtime.recorder
        # Half the limit, so that a delta with its key and hashes stays under it.
        limit = 0 if recorder.withholds else recorder.max_payload_bytes // 2
        handed = None if type(value) in _ATOMS else value
        if type(value) is list and before is not None and before.item_hashes:
            items = list(value)
            encoded, hashes, sizes = _with_known(items, before, runtime)
            return cls(encoded, items, limit, items=(hashes, sizes), handed=handed)
        return cls(runtime.encode(value), value, limit, handed=handed)

    @property
    def is_truncated(self) -> bool:
        return self.recorded is not self.encoded

    @property
    def whole(self) -> Any:
        """The encoding of the value itself, also where what is recorded is cut or redacted."""
        return self.encoded if self.original is None else encode(self.original).json

    def read(self) -> Any:
        """A copy of the value: nobody changes state by changing what they read."""
        if self.original is None:
            return decode(self.encoded)
        return _copy(self.original)


def _with_known(items: list[Any], before: StateValue, runtime: RunRuntime) -> tuple[Encoded, list[str], list[int]]:
    known, hashes, sizes = before.encoded, list(before.item_hashes or ()), list(before.item_sizes)
    count = next((at for at, item in enumerate(items) if at >= len(known) or not is_same(item, known[at])), len(items))
    new = runtime.encode(items[count:])
    rest = new.json if isinstance(new.json, list) else [new.json]
    more_hashes, more_sizes = _hashed(rest)
    is_plain = new.is_plain and before.original is None
    encoded = Encoded([*known[:count], *rest], new.replayable, new.reason, new.detail, is_plain)
    return encoded, hashes[:count] + more_hashes, sizes[:count] + more_sizes


def _hashed(items: list[Any]) -> tuple[list[str], list[int]]:
    texts = [canonical_text(item) for item in items]
    return [text_hash(text) for text in texts], [len(text) for text in texts]


def is_same(value: Any, encoded: Any) -> bool:
    """Whether a plain value would be encoded exactly so: types and the order of keys count, as they do in the text."""
    cls = type(value)
    if cls is dict:
        if type(encoded) is not dict or len(value) != len(encoded) or "$t" in encoded:
            return False
        if _TEXT.issuperset(map(type, value.values())):
            return bool(value == encoded) and list(value) == list(encoded)
        pairs = zip(value.items(), encoded.items(), strict=True)
        return all(name == other and type(name) is str and is_same(one, two) for (name, one), (other, two) in pairs)
    if cls is list:
        if type(encoded) is not list or len(value) != len(encoded):
            return False
        return all(map(is_same, value, encoded))
    if cls is float:
        return type(encoded) is float and repr(value) == repr(encoded)  # 0.0 and -0.0 are equal
    return cls in _ATOMS and cls is type(encoded) and bool(value == encoded)


def _copy(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:
        # A service or a socket: what cannot be copied is handed on as it is.
        return value

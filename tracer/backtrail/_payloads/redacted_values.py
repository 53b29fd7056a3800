"""One encoded payload without what has to go, value by value.

    Redaction → **walk** → the same JSON, with `redacted` tags in it

Text is replaced where it stands, also where the codec wrote it as base64; the value of a field named like a password
goes as a whole. What is unchanged is the same object afterwards.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

from backtrail.canonical import canonical_text

from .secrets import is_card, secret_field

SECRET = "[secret]"


class Walk:
    """One payload, value by value. What is unchanged is the same object afterwards."""

    def __init__(
        self,
        in_text: Callable[[str], str],
        in_name: Callable[[str], str],
        *,
        has_fields: bool,
        is_tagged: bool,
    ) -> None:
        self._in_text = in_text
        self._in_name = in_name
        self._has_fields = has_fields
        self._is_tagged = is_tagged

    def value(self, json: Any) -> Any:
        if isinstance(json, str):
            return self._marked(json, self._in_text(json))
        if isinstance(json, list):
            return self._items(json)
        if isinstance(json, dict):
            return self._tag(json, json["$t"]) if "$t" in json else self._fields(json)
        if type(json) is int and abs(json) > 10**12:
            return self._marked(json, self._in_text(str(json)))
        return json

    def error(self, json: dict[str, Any]) -> dict[str, Any]:
        words = {name: self._in_text(json[name]) for name in ("message",) if isinstance(json.get(name), str)}
        parts: dict[str, Any] = {name: self.value(json[name]) for name in ("args", "attrs") if name in json}
        if isinstance(notes := json.get("notes"), list):
            parts["notes"] = [self._in_text(note) for note in notes]
        if isinstance(cause := json.get("cause"), dict):
            parts["cause"] = self.error(cause)
        if isinstance(children := json.get("children"), list):
            parts["children"] = [self.error(child) for child in children]
        changed = {name: value for name, value in (words | parts).items() if value != json[name]}
        return {**json, **changed} if changed else json

    def _marked(self, before: Any, text: str) -> Any:
        if text == str(before):
            return before
        return {"$t": "redacted", "v": text} if self._is_tagged else text

    def _items(self, items: list[Any]) -> list[Any]:
        changed = [self.value(item) for item in items]
        return items if _are_same(items, changed) else changed

    def _fields(self, fields: dict[str, Any]) -> Any:
        names = [self._in_name(name) for name in fields]
        values = [self._field(fields, name, value) for name, value in fields.items()]
        if names != list(fields):
            if self._is_tagged:
                pairs = zip(fields, names, values, strict=True)
                return {"$t": "map", "v": [[self._marked(old, new), value] for old, new, value in pairs]}
            return dict(zip(names, values, strict=True))
        return fields if _are_same(list(fields.values()), values) else dict(zip(names, values, strict=True))

    def _field(self, fields: dict[str, Any], name: str, value: Any) -> Any:
        if self._has_fields and self._is_secret(name, value) and not (name == "token" and "logprob" in fields):
            gone = {"$t": "redacted", "v": SECRET} if self._is_tagged else SECRET
            return value if value == gone else gone
        return self.value(value)

    def _is_secret(self, name: Any, value: Any) -> bool:
        """Whether the name says that the whole value has to go. Whether it is there, or empty, may be seen."""
        if not isinstance(name, str) or value is None or value == "" or isinstance(value, bool):
            return False
        if name.lower() == "token" and not isinstance(value, str | dict):
            return False
        return secret_field().fullmatch(name) is not None

    def _tag(self, json: dict[str, Any], tag: Any) -> Any:
        body = json.get("v")
        changed: Any
        match tag:
            case "redacted" | "truncated" | "opaque":
                return json
            case "bytes" | "str":
                return self._coded(json, tag, body)
            case "int" | "decimal":
                digits = str(body).removeprefix("-")
                return json if not is_card(digits) else self._marked(digits, self._in_text(digits))
            case "path" if isinstance(body, str):
                text = self._in_text(body)
                return json if text == body else self._marked(body, text)
            case "map" if isinstance(body, list):
                changed = self._pairs(body)
            case "tuple" if isinstance(body, list) and len(body) == 2:
                changed = self._pairs([body])[0]  # a header, maybe
            case "set" | "frozenset" if isinstance(body, list):
                changed = self._items(body)
                changed = changed if changed is body else sorted(changed, key=canonical_text)
            case "exception" if isinstance(body, dict):
                changed = self.error(body)
            case _:
                changed = self.value(body)
        return json if changed is body else {**json, "v": changed}

    def _pairs(self, pairs: list[Any]) -> list[Any]:
        changed = [[self.value(name), self._field({}, name, value)] for name, value in pairs]
        kept = [old if _are_same(old, new) else new for old, new in zip(pairs, changed, strict=True)]
        return pairs if _are_same(pairs, kept) else kept

    def _coded(self, json: dict[str, Any], tag: str, body: Any) -> Any:
        """Text that stands there as base64."""
        try:
            data = base64.b64decode(body)
            text = data.decode() if tag == "bytes" else data.decode("utf-16-le", "surrogatepass")
        except (ValueError, TypeError):
            return json
        redacted = self._in_text(text)
        return json if redacted == text else self._marked(text, redacted.encode("utf-8", "replace").decode())


def _are_same(before: Sequence[Any], after: Sequence[Any]) -> bool:
    return all(old is new for old, new in zip(before, after, strict=True))

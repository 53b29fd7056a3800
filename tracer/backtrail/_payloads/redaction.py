"""What must not leave the process is taken out of it, before anything is hashed, stored or sent.

    encoded value → **Redaction** → hash, payload text → span
    the user's words, attributes, error messages → **Redaction** → span

A string in which something was removed becomes the tag `redacted`: a replay never takes it for the real one. Where
only people read (messages, attributes) the bare text stands. If a hook fails, nothing of the value leaves.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from backtrail import _late
from backtrail._boundary import never_raise
from backtrail._calls.modules import module_name

from .codec import is_clean
from .content import json_text
from .redacted_values import SECRET, Walk
from .secrets import FIELD, FIELD_HINT, NAMES, RULES, Rule, secret_field

Hook = Callable[[str], str]
Redact = bool | str | Hook | Sequence[str | Hook] | None

_DEFAULT_KEY = b"backtrail"
_DIGITS_OF_DIGEST = 4
_DIGITS_OF_NAME = 16
_ENCODED_TEXT = r'"\$t":"(?:bytes|str)"'

_redacting = never_raise("redacting a value")


class Redaction:
    """The rules of one `configure(redact=…)`."""

    __slots__ = ("_has_fields", "_hooks", "_key", "_may_hold", "_rules", "description", "is_suspect")

    def __init__(self, names: Iterable[str] = NAMES, hooks: Sequence[Hook] = (), key: bytes | None = None) -> None:
        chosen = frozenset(names)
        if unknown := chosen - set(NAMES):
            raise ValueError(f"redact names {', '.join(sorted(unknown))}; there is {', '.join(NAMES)}")
        self._rules: list[Rule] = [rule for name, rule in RULES.items() if name in chosen]
        self._has_fields = FIELD in chosen
        self._hooks = tuple(hooks)
        self._key = key or _DEFAULT_KEY
        named = [name for name in NAMES if name in chosen] + [_name_of(hook) for hook in hooks]
        self.description = ",".join(named) or "none"
        self._may_hold: Callable[[str], bool] = self._first_search
        self.is_suspect: Callable[[str], bool] = self._first_search if not self._hooks else lambda text: True

    def _first_search(self, text: str) -> bool:
        """Stands where the search will be, which is made for the first text."""
        self._may_hold = self._search()
        if not self._hooks:
            self.is_suspect = self._may_hold
        return self._may_hold(text)

    def _search(self) -> Callable[[str], bool]:
        if not self._rules and not self._has_fields:
            return lambda text: False
        hints = [rule.hint for rule in self._rules] + [_ENCODED_TEXT]
        hints += [FIELD_HINT] if self._has_fields else []
        # One automaton for all of them, in C: some 700 MB a second, whatever the text.
        pattern = "|".join(f"(?:{hint})" for hint in hints)
        schema = _late.pydantic_core.core_schema.str_schema(pattern=pattern, regex_engine="rust-regex")
        return _late.pydantic_core.SchemaValidator(schema).isinstance_python

    # --- What recording asks for ------------------------------------------------------------------

    def json(self, json: Any) -> Any:
        """Encoded JSON without what has to go; the same object if that is nothing."""
        if not self.is_suspect(json_text(json)):
            return json
        with _redacting:
            return self._walk(is_tagged=True).value(json)
        return _failed_value()

    def plain(self, json: Any) -> Any:
        """JSON that no replay reads: bare text where something was removed."""
        if not self.is_suspect(json_text(json)):
            return json
        with _redacting:
            return self._walk(is_tagged=False).value(json)
        return _failed_value()["v"]

    def error(self, json: dict[str, Any]) -> dict[str, Any]:
        """An encoded error: its message stays text."""
        if not self.is_suspect(json_text(json)):
            return json
        with _redacting:
            return self._walk(is_tagged=True).error(json)
        message = str(_failed_value()["v"])
        return {name: json.get(name) for name in ("type", "module", "mro", "retryable")} | {"message": message}

    def text(self, text: str) -> str:
        """Words on their way into an attribute."""
        mended = text if is_clean(text) else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if not self.is_suspect(mended):
            return text
        with _redacting:
            return self._in_text(mended)
        return str(_failed_value()["v"])

    def name(self, text: str) -> str:
        """A name that something is found by: with so long a digest, and without hooks, that no two become one."""
        return self._by_rules(text, _DIGITS_OF_NAME) if self._may_hold(text) else text

    def attribute(self, name: str, value: Any) -> Any:
        """An attribute the user or other instrumentation sets: text, or a sequence of it; JSON is looked into."""
        if isinstance(value, str):
            if self._has_fields and value and secret_field().fullmatch(str(name).rpartition(".")[2]):
                return SECRET
            return self._text_or_json(value)
        if isinstance(value, list | tuple):
            items = [self.attribute(name, item) for item in value]
            return value if all(new is old for new, old in zip(items, value, strict=True)) else items
        if isinstance(value, Mapping):
            fields = {key: self.attribute(str(key), item) for key, item in value.items()}
            return value if all(fields[key] is value[key] for key in fields) else fields
        return value

    def _text_or_json(self, text: str) -> str:
        if text[:1] in ("{", "[") and self.is_suspect(text):
            try:
                json = _late.pydantic_core.from_json(text)
            except ValueError:
                return self.text(text)
            redacted = self.plain(json)
            return text if redacted is json else json_text(redacted)
        return self.text(text)

    def _walk(self, *, is_tagged: bool) -> Walk:
        return Walk(self._in_text, self._in_name, has_fields=self._has_fields, is_tagged=is_tagged)

    # --- One string -------------------------------------------------------------------------------

    def _in_text(self, text: str) -> str:
        if self._may_hold(text):
            text = self._by_rules(text, _DIGITS_OF_DIGEST)
        for hook in self._hooks:
            text = _checked(hook(text))
        return text

    def _by_rules(self, text: str, digits: int) -> str:
        digest = self._digest(digits)
        for rule in self._rules:
            text = rule.pattern.sub(partial(rule.replace, digest), text)
        return text

    def _in_name(self, name: str) -> str:
        """The name of a field; a hook need not know a program's own."""
        if not name.isidentifier():
            return self._in_text(name)
        return self._by_rules(name, _DIGITS_OF_DIGEST)

    def _digest(self, digits: int) -> Callable[[str], str]:
        return lambda text: hmac.digest(self._key, text.encode(), "sha256").hex()[:digits]


def _failed_value() -> dict[str, Any]:
    # Never the same twice: a call whose input is not known must not be taken for another.
    return {"$t": "redacted", "v": f"[redaction failed {os.urandom(8).hex()}]"}


def _checked(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"a redaction hook returns a str, not {type(text).__name__}")
    return text if is_clean(text) else text.encode("utf-8", "replace").decode()


def _name_of(hook: Hook) -> str:
    name = getattr(hook, "__qualname__", type(hook).__qualname__)
    return f"{module_name(hook if hasattr(hook, '__module__') else type(hook))}:{name}"


DEFAULT_REDACTION = Redaction()


def redaction_of(redact: Redact, key: bytes | None = None) -> Redaction:
    """What `configure(redact=…)` asks for."""
    if redact is None or redact is True:
        return Redaction(key=key) if key else DEFAULT_REDACTION
    if redact is False:
        return Redaction(())
    wishes = (redact,) if isinstance(redact, str) or callable(redact) else tuple(redact)
    names = [wish for wish in wishes if isinstance(wish, str)]
    hooks = [wish for wish in wishes if not isinstance(wish, str)]
    if not all(callable(hook) for hook in hooks):
        raise TypeError("redact is True, False, names of rules, a function from str to str, or a list of these")
    return Redaction(names, hooks, key)


__all__ = ["DEFAULT_REDACTION", "Redact", "Redaction", "redaction_of"]

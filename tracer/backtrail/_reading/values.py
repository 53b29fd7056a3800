"""Recorded values for people's eyes: tags become the notation of the language they came from.

    answers → **values** → render

Nothing is rebuilt: a dataclass of a program that is not here is shown, not made.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.pretty import pretty_repr
from rich.text import Text

from backtrail._reading.figures import count

NARROW = 20


class Value:
    """A recorded value, on one line where it fits into the place it is given."""

    def __init__(self, encoded: object) -> None:
        self._encoded = encoded

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(pretty_value(self._encoded, width=options.max_width), overflow="fold")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(NARROW, options.max_width), options.max_width)


class _Shown:
    """A tagged value under the name it goes by."""

    def __init__(self, name: str, value: object) -> None:
        self.name = name
        self.value = value

    def __rich_repr__(self) -> Iterator[Any]:
        if isinstance(self.value, dict):
            yield from self.value.items()
        elif self.value is not None:
            yield self.value


class _Bare:
    """Text that stands for itself, without quotes."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def pretty_value(encoded: object, *, width: int) -> str:
    """On one line where it fits; text alone stands without quotes."""
    shown = _show(encoded)
    return shown if isinstance(shown, str) else pretty_repr(shown, max_width=width, expand_all=False)


def is_withheld(encoded: object) -> bool:
    """Whether only the size of this value was to be recorded: of one that was too long there is a head."""
    if not isinstance(encoded, Mapping) or encoded.get("$t") != "truncated":
        return False
    stub = encoded.get("v")
    return isinstance(stub, Mapping) and stub.get("head") == ""


def _show(encoded: object) -> object:
    if isinstance(encoded, list):
        return [_show(item) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    if "$t" in encoded:
        return _show_tagged(encoded)
    return {key: _show(value) for key, value in encoded.items()}


def _show_tagged(encoded: Mapping[str, Any]) -> object:
    value = encoded.get("v")
    name = str(encoded.get("type", encoded["$t"])).rpartition(".")[2].rpartition(":")[2]
    match encoded["$t"]:
        case "tuple" if isinstance(value, list):
            return tuple(_show(item) for item in value)
        case "int" | "float" | "decimal" | "datetime" | "date" | "time" | "uuid" | "path":
            return _Bare(str(value))
        case "map" if isinstance(value, list):
            return _Bare("{" + ", ".join(f"{_show(key)!r}: {_show(item)!r}" for key, item in value) + "}")
        case "redacted":
            return str(value)
        case "truncated" if isinstance(value, dict):
            why = "not recorded" if is_withheld(encoded) else "too long to record"
            size = value.get("bytes", "?")
            return _Bare(f"<{count(size, 'byte') if isinstance(size, int) else f'{size} bytes'}, {why}>")
        case "enum":
            return _Bare(f"{name}.{value}")
        case "opaque":
            return _Bare(f"<{name}>")
    return _named(name, _show(value))


def _named(name: str, value: object) -> object:
    return type(name if name.isidentifier() else "Value", (_Shown,), {})(name, value)

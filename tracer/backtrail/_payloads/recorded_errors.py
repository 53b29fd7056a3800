"""Errors as data: what a failed step leaves behind, and what a replay raises from it.

    step raises → **encode_error** → backtrail.step.error → bundle → **decode_error** → except clause

Built-in and registered classes come back as themselves; any other becomes a class derived from
`RecordedError` and the nearest built-in ancestor, so the user's `except` clauses go on working.
No `__init__` of a user's class is called: constructors with required keywords would fail.
"""

import builtins
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from backtrail._calls.modules import module_name
from backtrail.errors import InterceptedError, RecordedError, ReplayError

_MAX_CAUSES = 8
_OURS: tuple[type[BaseException], ...] = (InterceptedError,)  # a program cannot be asked to register these


def as_error(given: object) -> BaseException:
    """What was said to have gone wrong, as an error: a sentence will do."""
    return given if isinstance(given, BaseException) else RuntimeError(given)


def encode_error(error: BaseException, encode: Callable[[Any], Any], causes: int = _MAX_CAUSES) -> dict[str, Any]:
    """The error as JSON; `encode` turns its arguments and attributes into JSON. Never raises."""
    cls = type(error)
    encoded: dict[str, Any] = {
        "type": cls.__qualname__,
        "module": module_name(cls),
        "mro": [f"{module_name(base)}:{base.__qualname__}" for base in cls.__mro__[1:-1]],
        "message": _clean(message_of(error)),
        "retryable": None,
    }
    # A property of the user's class may raise, or what it holds be nested without end.
    with suppress(Exception):
        encoded.update(_details(error, encode, causes))
    return encoded


def _details(error: BaseException, encode: Callable[[Any], Any], causes: int) -> dict[str, Any]:
    encoded: dict[str, Any] = {}
    if isinstance(retryable := getattr(error, "retryable", None), bool):
        encoded["retryable"] = retryable
    if isinstance(error, BaseExceptionGroup):
        encoded["message"] = _clean(error.message)
        encoded["children"] = [encode_error(child, encode, causes) for child in error.exceptions]
    elif error.args:
        encoded["args"] = [encode(argument) for argument in _arguments(error)]
    attributes = {name: encode(value) for name, value in vars(error).items() if not name.startswith("__")}
    if attributes:
        encoded["attrs"] = attributes
    notes = getattr(error, "__notes__", None)
    if notes and isinstance(notes, list | tuple):
        encoded["notes"] = [_clean(note) for note in notes if isinstance(note, str)]
    if error.__cause__ is not None and causes > 0:
        encoded["cause"] = encode_error(error.__cause__, encode, causes - 1)
    return encoded


def _arguments(error: BaseException) -> tuple[Any, ...]:
    """What the error is built from; an OSError keeps its file name out of `args`."""
    if isinstance(error, OSError) and error.filename is not None and len(error.args) == 2:
        return (*error.args, error.filename)
    return error.args


def message_of(error: BaseException) -> str:
    """What the error says, or that it cannot be read."""
    try:
        return str(error)
    except Exception:
        return f"<{type(error).__qualname__} whose message cannot be read>"


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text


def decode_error(
    encoded: Any,
    registered: Iterable[type[BaseException]] = (),
    decode: Callable[[Any], Any] = lambda value: value,
) -> BaseException:
    """An exception that behaves in `except` clauses as the recorded one did."""
    if not isinstance(encoded, dict) or not isinstance(encoded.get("type"), str):
        raise ReplayError(f"a recorded error is not an object with a type: {str(encoded)[:80]}")
    known = {(module_name(cls), cls.__qualname__): cls for cls in [*_OURS, *registered]}
    error = _rebuild(encoded, known, decode)
    for note in encoded.get("notes") or ():
        error.add_note(str(note))
    if encoded.get("cause") is not None:
        error.__cause__ = decode_error(encoded["cause"], known.values(), decode)
    return error


_Known = dict[tuple[str, str], type[BaseException]]


def _rebuild(encoded: dict[str, Any], known: _Known, decode: Callable[[Any], Any]) -> BaseException:
    name, module = encoded["type"], str(encoded.get("module", ""))
    arguments = tuple(_decode_or_none(decode, argument) for argument in encoded.get("args") or ())
    cls = known.get((module, name)) or (_builtin(name) if module == "builtins" else None)
    error: BaseException
    if cls is None:
        return _unknown(encoded, arguments, decode)
    if issubclass(cls, BaseExceptionGroup):
        children = [decode_error(child, known.values(), decode) for child in encoded.get("children") or ()]
        return cls.__new__(cls, str(encoded.get("message", "")), children)
    if cls.__module__ == "builtins":
        # Built-in constructors only store; OSError and UnicodeError need them to show their message.
        try:
            error = cls(*arguments)
        except TypeError:
            error = cls.__new__(cls)
    else:
        error = cls.__new__(cls, *arguments)
    _set_attributes(error, encoded, decode)
    return error


def _unknown(encoded: dict[str, Any], arguments: tuple[Any, ...], decode: Callable[[Any], Any]) -> BaseException:
    bases: tuple[type[BaseException], ...] = (RecordedError,)
    for entry in encoded.get("mro") or ():
        module, _, name = str(entry).partition(":")
        ancestor = _builtin(name) if module == "builtins" else None
        if ancestor is not None and ancestor not in (Exception, BaseException):
            bases = (RecordedError, ancestor) if not issubclass(ancestor, BaseExceptionGroup) else bases
            break
    name = str(encoded["type"]).rpartition(".")[2] or "RecordedError"
    cls: type[RecordedError] = type(name, bases, {"__module__": "backtrail.errors"})
    error = cls.__new__(cls)
    error.args = arguments
    error.type, error.module = str(encoded["type"]), str(encoded.get("module", ""))
    error.message = str(encoded.get("message", ""))
    _set_attributes(error, encoded, decode)
    return error


def _set_attributes(error: BaseException, encoded: dict[str, Any], decode: Callable[[Any], Any]) -> None:
    attributes = encoded.get("attrs") or {}
    for name, value in attributes.items() if isinstance(attributes, dict) else ():
        if isinstance(name, str) and not name.startswith("__"):
            error.__dict__[name] = _decode_or_none(decode, value)


def _decode_or_none(decode: Callable[[Any], Any], value: Any) -> Any:
    # An error's opaque attribute (a request object, say) must not hide the error itself.
    try:
        return decode(value)
    except ReplayError:
        return None


def _builtin(name: str) -> type[BaseException] | None:
    cls = getattr(builtins, name, None)
    return cls if isinstance(cls, type) and issubclass(cls, BaseException) else None

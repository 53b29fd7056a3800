"""The fields of our own context classes: they become fields of the dataclass a user makes of them.

    RunContext, contexts.* → **offered fields** → @dataclass class AppContext(ExecutionContext)

Ours are no dataclasses themselves: those would have to be either frozen or not, and every subclass
with them. Each class of ours offers its fields, and the first dataclass below it gets them.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass_to_type_checkers
else:

    def dataclass_to_type_checkers(**_: Any) -> Callable[[type], type]:
        return lambda cls: cls


_MAX_COPIED_DEPTH = 32


class Offered(NamedTuple):
    """A field as `dataclasses.field` would be told of it. A Field object itself belongs to one class."""

    annotation: Any
    default: Any = dataclasses.MISSING
    default_factory: Any = dataclasses.MISSING
    repr: bool = True

    @classmethod
    def of(cls, annotation: Any, said: Any) -> Offered:
        if isinstance(said, dataclasses.Field):
            return cls(annotation, said.default, said.default_factory, said.repr)
        return cls(annotation, said)

    @property
    def is_required(self) -> bool:
        return self.default is dataclasses.MISSING and self.default_factory is dataclasses.MISSING

    def as_field(self) -> Any:
        if self.default_factory is not dataclasses.MISSING:
            return dataclasses.field(default_factory=self.default_factory, repr=self.repr, kw_only=True)
        return dataclasses.field(default=self.default, repr=self.repr, kw_only=True)

    def make(self) -> Any:
        return self.default if self.default_factory is dataclasses.MISSING else self.default_factory()


def offer_fields(cls: type) -> None:
    """Take the fields out of the body of a class of ours, and keep them for the dataclasses below it."""
    offers = {name: Offered.of(hint, cls.__dict__[name]) for name, hint in inspect.get_annotations(cls).items()}
    for name, offer in offers.items():
        if offer.default is dataclasses.MISSING:
            delattr(cls, name)
        else:
            setattr(cls, name, offer.default)
    cls._offers = offers  # type: ignore[attr-defined]


def offered_fields(cls: type) -> dict[str, Offered]:
    """What the classes of ours among the bases offer."""
    offers: dict[str, Offered] = {}
    for base in reversed(cls.__mro__):
        offers |= base.__dict__.get("_offers", {})
    return offers


def give_fields(cls: type) -> None:
    """Give a class of the user's the fields offered to it, before `@dataclass` looks at it."""
    if "__dataclass_fields__" in cls.__dict__:
        return  # `slots=True` makes the class a second time
    own = inspect.get_annotations(cls)
    annotations = dict(own)
    has_already = {name for base in cls.__mro__[1:] for name in base.__dict__.get("__dataclass_fields__", ())}
    for name, offer in offered_fields(cls).items():
        # A property is the user's way to say that this is no field of theirs.
        is_property = hasattr(cls.__dict__.get(name), "__get__") and name not in own
        if name in has_already or is_property:
            continue
        annotations.setdefault(name, offer.annotation)
        if name not in cls.__dict__:
            setattr(cls, name, offer.as_field())
    cls.__annotations__ = annotations


def fill(context: Any, nameless: Sequence[Any], given: Mapping[str, Any]) -> None:
    """What `__init__` does where no dataclass made one."""
    offers = offered_fields(type(context))
    if (unknown := given.keys() - offers.keys()) or nameless:
        said = f"an unexpected keyword argument {min(unknown)!r}" if unknown else "an argument without a name"
        raise TypeError(f"{type(context).__name__}() got {said}{_advice(type(context))}")
    for name, offer in offers.items():
        put_field(context, name, given[name] if name in given else offer.make())


def _advice(cls: type) -> str:
    """For a class that says fields of its own, and no dataclass was made of it."""
    is_users = "_offers" not in cls.__dict__ and inspect.get_annotations(cls).keys() - offered_fields(cls).keys()
    return f"; is @dataclass missing above class {cls.__name__}?" if is_users else ""


def blank(cls: Any, without: Collection[str] = ()) -> Any:
    """An instance with its defaults, made without the user's `__init__`. Fields without a default are missing."""
    context = cls.__new__(cls)
    for name, offer in field_defaults(cls).items():
        if not offer.is_required and name not in without:
            put_field(context, name, offer.make())
    return context


def field_defaults(cls: type) -> dict[str, Offered]:
    """Every field of a context class, whoever declared it."""
    declared = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
    return offered_fields(cls) | {field.name: Offered.of(field.type, field) for field in declared}


def read_field(context: Any, name: str) -> Any:
    """A field, or None: a property of the user's may raise, and then it says nothing."""
    try:
        return getattr(context, name, None)
    except Exception:
        return None


def put_field(context: Any, name: str, value: Any) -> None:
    """Set a field of a copy, frozen or not. What the user made a property of stays theirs."""
    with suppress(AttributeError):
        object.__setattr__(context, name, value)


def copied(value: Any, depth: int = 0) -> Any:
    """Containers anew, what is in them as it is: a connection must not be copied."""
    if depth > _MAX_COPIED_DEPTH:
        return value
    if type(value) is dict:
        return {key: copied(item, depth + 1) for key, item in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(copied(item, depth + 1) for item in value)
    return value


__all__ = [
    "Offered",
    "blank",
    "copied",
    "dataclass_to_type_checkers",
    "field_defaults",
    "fill",
    "give_fields",
    "offer_fields",
    "offered_fields",
    "put_field",
    "read_field",
]

"""What goes into a recording comes out again with its type, and nothing else does."""

import enum
import gc
import math
import uuid
import weakref
from collections import OrderedDict, namedtuple
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic_core import from_json

from backtrail._payloads.codec import encode
from backtrail._payloads.content import json_text
from backtrail._payloads.decode import decode, registry_of
from backtrail.errors import ReplayError, ResultNotReplayableError


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Item:
    name: str
    price: Decimal
    tags: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Order:
    items: list[Item]
    at: datetime | None = None


class Answer(BaseModel):
    text: str
    order: Order | None = None
    scores: dict[str, float] = {}


class Point(NamedTuple):
    x: int
    y: int


Pair = namedtuple("Pair", "a b")


def round_trip(value: Any, hint: Any = None) -> Any:
    encoded = encode(value)
    assert encoded.replayable, encoded
    return decode(from_json(json_text(encoded.json)), hint)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -0.0,
        1.0,
        "text",
        [1, [2, {"a": None}]],
        (1, (2,)),
        {1, 2, 3},
        frozenset({"a"}),
        b"\x00\xff",
        2**53 - 1,
        2**53,
        2**60,
        -(10**40),
        math.inf,
        -math.inf,
        Decimal("1.20"),
        datetime(2026, 11, 20, 3, 0, 0, 123456, tzinfo=UTC),
        datetime(2026, 11, 20, 3, 0, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        datetime(2026, 11, 20),
        date(2026, 11, 20),
        time(3, 4, 5),
        timedelta(days=-1, microseconds=7),
        uuid.UUID(int=7),
        Path("/tmp/x"),
        {1: 2},
        {(1, 2): "tuple key", None: 1},
        "\ud800 half a pair",
        {"\udfff": 1},
        {"$t": "model", "type": "os:system", "v": "rm"},
        {"$t": {"$t": "opaque"}},
        "",
        "emoji 🎈 and \u2028",
        {"b": 1, "a": 2},
    ],
)
def test_a_value_comes_back_equal_and_of_its_type(value: object) -> None:
    back = round_trip(value)

    assert back == value
    assert type(back) is type(value)
    assert repr(back) == repr(value) or isinstance(value, set | frozenset)


def test_nan_comes_back() -> None:
    assert math.isnan(round_trip(float("nan")))


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (Color.RED, Color),
        (Level.LOW, Level | None),
        (Order([Item("lamp", Decimal("4.20"), {"a"})], datetime(2026, 1, 1, tzinfo=UTC)), Order),
        ([Item("lamp", Decimal(1))], list[Item]),
        ({"a": Item("lamp", Decimal(1))}, dict[str, Item]),
        ((1, Item("lamp", Decimal(1))), tuple[int, Item]),
        ((Item("lamp", Decimal(1)),), tuple[Item, ...]),
        (Answer(text="yes", order=Order([]), scores={"a": 1.0}), Annotated[Answer | None, "note"]),
        (Point(1, 2), Point),
        (Pair(1, 2), Pair),
        (Item("lamp", Decimal(1)), Answer | Item),
        ({Color.RED: [Item("x", Decimal(1))]}, dict[Color, list[Item]]),
    ],
)
def test_classes_come_back_when_the_annotation_names_them(value: object, hint: object) -> None:
    back = round_trip(value, hint)

    assert back == value
    assert type(back) is type(value)


def test_a_class_nobody_names_does_not_come_back() -> None:
    encoded = encode(Item("lamp", Decimal(1))).json

    with pytest.raises(ResultNotReplayableError) as raised:
        decode(encoded)
    assert raised.value.reason == "type_unregistered"
    assert decode(encoded, None, registry_of([Item])) == Item("lamp", Decimal(1))


def test_rebuilding_calls_no_code_of_the_users_class() -> None:
    @dataclass
    class Loud:
        name: str

        def __post_init__(self) -> None:
            raise AssertionError("__init__ must not run")

    value = object.__new__(Loud)
    value.name = "x"

    assert decode(encode(value).json, Loud).name == "x"


def test_a_service_is_kept_as_its_name_and_says_why() -> None:
    encoded = encode({"client": object(), "n": 1})

    assert encoded.json == {"client": {"$t": "opaque", "type": "builtins:object"}, "n": 1}
    assert (encoded.replayable, encoded.reason, encoded.detail) == (False, "opaque", "builtins:object")


def test_a_value_that_contains_itself_ends_somewhere() -> None:
    value: list[Any] = []
    value.append(value)

    encoded = encode(value)

    assert (encoded.replayable, encoded.reason) == (False, "too_deep")


def test_a_hostile_object_is_opaque_and_raises_nothing() -> None:
    class Hostile(Mapping[str, object]):
        def items(self) -> Any:
            raise RuntimeError("no")

        __getitem__ = __iter__ = __len__ = items  # type: ignore[assignment]

    assert encode({"a": Hostile(), "b": 1}).reason == "opaque"
    assert encode({"a": Hostile(), "b": 1}).json["b"] == 1


def test_classes_made_on_the_fly_are_not_kept_alive() -> None:
    made = [weakref.ref(type(value)) for value in (type("Made", (), {})() for _ in range(3_000)) if encode(value)]

    gc.collect()

    assert sum(cls() is not None for cls in made) <= 1_024


def test_sets_are_encoded_in_one_order() -> None:
    assert encode({"b", "a", "c"}).json == {"$t": "set", "v": ["a", "b", "c"]}


def test_the_order_of_keys_is_kept_and_subclasses_of_dict_become_dicts() -> None:
    assert list(round_trip(OrderedDict(b=1, a=2))) == ["b", "a"]


def test_what_is_read_is_not_what_was_written() -> None:
    value = {"a": [1]}
    encoded = encode(value)
    value["a"].append(2)

    assert encoded.json == {"a": [1]}


@pytest.mark.parametrize(
    "hostile",
    [
        {"$t": "pickle", "v": "gASV"},
        {"$t": ["tuple"], "v": []},
        {"$t": "tuple", "v": 5},
        {"$t": "map", "v": [[1]]},
        {"$t": "bytes", "v": "%%%"},
        {"$t": "int", "v": "1e5"},
        {"$t": "float", "v": "1.5"},
        {"$t": "datetime", "v": 5},
        {"$t": "timedelta", "v": ["a"]},
        {"$t": "enum", "type": "os:system", "v": "x"},
        {"$t": "model", "type": "os:system", "v": {}},
        {"$t": "model", "type": 5, "v": {}},
        {"$t": "exception", "v": 5},
        {"$t": "truncated", "v": {}},
        {"$t": "opaque"},
        {},
    ][:-1],
)
def test_hostile_encodings_are_replay_errors(hostile: object) -> None:
    with pytest.raises(ReplayError):
        decode(hostile)


def test_ten_thousand_levels_are_refused() -> None:
    value: object = None
    for _ in range(10_000):
        value = [value]

    with pytest.raises(ReplayError):
        decode(value)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()) | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(st.characters()) | st.integers() | st.just("$t"), inner, max_size=3)
    ),
    max_leaves=15,
)


@given(plain)
def test_any_data_comes_back(value: object) -> None:
    assert repr(round_trip(value)) == repr(value)

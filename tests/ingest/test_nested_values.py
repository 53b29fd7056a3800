"""The quick way of reading a nested value says what the walk over the wire says, or leaves it to the walk."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrail_ingest.requests.flat_values import FlatValues
from backtrail_ingest.requests.limits import DEFAULT_LIMITS, MOST_LEVELS
from backtrail_ingest.requests.nested_values import MOST_BYTES, NestedValues, Unusual
from backtrail_ingest.requests.notes import Notes
from backtrail_ingest.requests.wire_fields import Budget, TooManyFields, Wire
from tests.factories import Value, any_value

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(max_size=20)
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30)


def nested(fields: int = 1_000_000) -> NestedValues:
    return NestedValues(Budget(fields), name_length=DEFAULT_LIMITS.name_length)


def walked(encoded: bytes) -> object:
    values = FlatValues(Wire(encoded, Budget(1_000_000)), DEFAULT_LIMITS)
    return values._read(0, len(encoded), 1, Notes())


@given(VALUES)
def test_t18_both_ways_say_the_same_of_any_value(value: Value) -> None:
    encoded = any_value(value).SerializeToString()

    assert repr(nested().read(encoded)) == repr(walked(encoded)) == repr(value)


@given(VALUES, st.data())
def test_t18_of_a_mutated_value_the_quick_way_says_the_same_or_nothing(value: Value, data: st.DataObject) -> None:
    encoded = bytearray(any_value({"a": value}).SerializeToString())
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] = data.draw(st.integers(0, 255))
    try:
        found = nested().read(bytes(encoded))
    except Unusual:
        return

    assert repr(found) == repr(walked(bytes(encoded)))


def deep(levels: int) -> Value:
    value: Value = "end"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "encoded",
    [
        any_value({"k" * (DEFAULT_LIMITS.name_length + 1): 1}).SerializeToString(),
        any_value(deep(MOST_LEVELS + 1)).SerializeToString(),
        any_value(["x" * MOST_BYTES]).SerializeToString(),
        any_value(["ZZ"]).SerializeToString().replace(b"ZZ", b"\xff\xfe"),
        b"\x32\x7f",
    ],
    ids=["long name", "deep", "large", "invalid text", "cut"],
)
def test_t19_what_is_not_ordinary_is_left_to_the_walk(encoded: bytes) -> None:
    with pytest.raises(Unusual):
        nested().read(encoded)


def test_t19_a_value_of_very_many_members_is_paid_from_the_budget_of_its_request() -> None:
    with pytest.raises(TooManyFields):
        nested(fields=100).read(any_value(list(range(101))).SerializeToString())

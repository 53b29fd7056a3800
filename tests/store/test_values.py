"""The JSON of nested values is undone exactly, in value and in type."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrail_store.rows import AttributeValue
from backtrail_store.values import read_json, write_json

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.sampled_from(["$bytes", "NaN", ""])
)
KEYS = st.text(max_size=4) | st.sampled_from(
    ["$bytes", "$double", "$$bytes", "$$$double", "$t", "", "a.b", "__proto__"]
)
VALUES: st.SearchStrategy[AttributeValue] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12
)


def exact(value: object) -> object:
    """For comparing: types count, one NaN is like another, and -0.0 is not 0.0."""
    match value:
        case list():
            return [exact(element) for element in value]
        case dict():
            return [(key, exact(member)) for key, member in value.items()]
        case float():
            return float, "nan" if math.isnan(value) else value.hex()
        case _:
            return type(value), value


@given(VALUES)
def test_what_is_written_is_read_again_in_value_and_type(value: AttributeValue) -> None:
    assert exact(read_json(write_json(value))) == exact(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (2**53 + 1, "9007199254740993"),
        ([math.nan, math.inf, -math.inf], '[{"$double":"NaN"},{"$double":"Infinity"},{"$double":"-Infinity"}]'),
        ({"$bytes": "AA=="}, '{"$$bytes":"AA=="}'),
        ({"$bytes": b"\x00"}, '{"$$bytes":{"$bytes":"AA=="}}'),
        ({"$ref": "#/a", "$bytes": 1}, '{"$ref":"#/a","$bytes":1}'),
        ({"": None, "a.b": []}, '{"":null,"a.b":[]}'),
    ],
    ids=repr,
)
def test_values_are_written_as_documented(value: AttributeValue, text: str) -> None:
    assert write_json(value) == text

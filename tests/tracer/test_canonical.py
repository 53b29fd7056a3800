"""Hashes are the same in every run, process and version: these are the values they have."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from backtrail.canonical import HASH_ALG, H, canonical_text, list_hash, state_root, value_hash

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def test_the_algorithm_has_a_name_and_golden_vectors() -> None:
    assert HASH_ALG == "sorted-json-sha256/1"
    assert canonical_text({"b": [1, 1.0, True, None], "a": "Größe \u2028"}) == (
        '{"a":"Größe \u2028","b":[1,1.0,true,null]}'
    )
    assert H(None) == "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b"
    assert H({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert H(["1", "step", "a", [["task", "worker", 0]]]) == (
        "9b8b795131344f5a64ad96053281111df46c33e86cea5b6dae2b162d4ee25e55"
    )


def test_half_a_surrogate_pair_has_a_hash_too() -> None:
    assert H("\ud800") != H("\ud801")


def test_a_list_is_hashed_by_its_items() -> None:
    assert value_hash([1, "a"]) == list_hash([H(1), H("a")])
    assert value_hash({"a": [1]}) == H({"a": [1]})


def test_the_root_does_not_depend_on_the_order_of_keys() -> None:
    one = state_root({"run": {"a": 1, "b": [2]}, "k": {"a": 3}})
    other = state_root({"k": {"a": 3}, "run": {"b": [2], "a": 1}})

    assert one == other
    assert one != state_root({"run": {"a": 1, "b": [2]}, "k": {"a": 4}})
    assert state_root({}) == "0" * 64


@given(json_values)
def test_the_order_of_keys_does_not_change_a_hash(value: object) -> None:
    def reversed_keys(value: object) -> object:
        if isinstance(value, dict):
            return {key: reversed_keys(item) for key, item in reversed(value.items())}
        return [reversed_keys(item) for item in value] if isinstance(value, list) else value

    assert H(reversed_keys(value)) == H(value)


def test_the_module_can_be_imported_without_anything_else() -> None:
    """The server folds state with it; it must not bring the SDK's own set-up along."""
    code = "import sys; import backtrail.canonical as c; import inspect; print(inspect.getsource(c).count('import'))"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

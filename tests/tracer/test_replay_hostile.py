"""A bundle from a stranger: nothing in it is imported, run or believed; every refusal is a ReplayError."""

import ast
import base64
import pickle
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import backtrail
from backtrail._payloads.decode import decode
from backtrail._payloads.recorded_errors import decode_error
from backtrail._replay import bundle as _bundle
from backtrail._replay.bundle import parse_page, read_bundle, save_bundle
from backtrail.canonical import canonical_text
from backtrail.errors import RecordedError, ReplayError

SDK = Path(backtrail.__file__).parent


def page(**changes: Any) -> dict[str, Any]:
    return {
        "schema": "replay-bundle/1",
        "run": {"run_id": "1" * 32, "root_span_id": "3" * 16, "name": "handle", "status": "failed", "input": {}},
        "lineage": [],
        "target": {
            "mode": "resume",
            "at": "failure",
            "step_key": None,
            "seq": None,
            "lineage_id": "lineage",
            "reuse": "matching",
        },
        "completeness": {},
        "agents": [],
        "steps": [],
        "effects": [],
        "page": {"next": None},
        **changes,
    }


def sealed(content: dict[str, Any]) -> bytes:
    return canonical_text({**content, "sha256": sha256(canonical_text(content).encode()).hexdigest()}).encode()


def step(**changes: Any) -> dict[str, Any]:
    return {
        "step_key": "k0",
        "loose_key": "l0",
        "agent_key": "a0",
        "scope": [],
        "name": "search",
        "kind": "tool",
        "occurrence": 0,
        "seq_start": 1,
        "seq_end": 2,
        "end_batch": 1,
        "status": "completed",
        "replay_policy": "cached",
        "policy_reason": "completed",
        "input_hash": "h",
        "hash_alg": "sorted-json-sha256/1",
        "source": {"run_id": "1" * 32, "span_id": "2" * 16},
        **changes,
    }


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (pickle.dumps({"run": "hidden"}), "not readable JSON"),
        (b"[" * 10_000 + b"]" * 10_000, "not readable JSON"),
        (b'{"schema": NaN}', "not readable JSON"),
        (b"[1, 2]", "a bundle is a JSON object"),
        (sealed(page(schema="replay-bundle/2")), "'replay-bundle/2'; this version of backtrail reads"),
        (canonical_text({**page(), "sha256": "0" * 64}).encode(), "was changed or cut"),
        (sealed(page())[:-20], "not readable JSON"),
        (sealed(page(steps={"k0": 1})), "wrong shape at steps"),
        (sealed(page(steps=[step(seq_start="1")])), r"wrong shape at steps.0.seq_start"),
        (sealed(page(steps=[step(scope="os.system")])), r"wrong shape at steps.0.scope"),
        (sealed(page(steps=[step(replay_policy="exec")])), r"wrong shape at steps.0.replay_policy"),
        (sealed(page(steps=[step(result="x", result_bytes=9, result_sha256="0" * 64)])), "length and digest"),
    ],
)
def test_a_damaged_or_made_up_bundle_is_refused_with_what_was_seen(body: bytes, words: str) -> None:
    with pytest.raises(ReplayError, match=words):
        parse_page(body)


def test_a_body_over_the_limit_is_not_even_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bundle, "from_json", lambda *_args, **_options: pytest.fail("it was parsed"))

    with pytest.raises(ReplayError, match="more than the 10 that are read"):
        parse_page(b" " * 11, limit=10)


@pytest.mark.parametrize(
    "value",
    [
        {"$t": "model", "type": "os:system", "v": {"command": "touch /tmp/hostile"}},
        {"$t": "dataclass", "type": "subprocess:Popen", "v": {"args": ["true"]}},
        {"$t": "enum", "type": "builtins:eval", "v": "1"},
        {"$t": "pickle", "v": base64.b64encode(pickle.dumps(print)).decode()},
        {"$t": ["model"], "v": {}},
        {"$t": "map", "v": [1, 2, 3]},
        {"$t": "bytes", "v": "not base64"},
        {"$t": "datetime", "v": "tomorrow"},
        {"$t": "int", "v": "__import__('os')"},
        {"$t": "tuple", "v": "abc"},
    ],
)
def test_a_recorded_value_names_no_code_that_would_run(value: Any) -> None:
    with pytest.raises(ReplayError):
        decode(value)


def test_a_recorded_error_of_a_dangerous_name_is_only_its_nearest_builtin() -> None:
    error = decode_error({"type": "system", "module": "os", "mro": ["builtins:ValueError"], "message": "rm -rf"})

    assert isinstance(error, RecordedError)
    assert isinstance(error, ValueError)
    assert str(error) == "rm -rf"


def test_a_saved_bundle_is_read_back_and_a_changed_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.bundle.json"
    bundle = parse_page(sealed(page(steps=[step(result={"text": "hi"})])))
    save_bundle(bundle, file)

    assert read_bundle(file).steps == bundle.steps
    file.write_bytes(file.read_bytes().replace(b'"hi"', b'"ho"'))
    with pytest.raises(ReplayError, match="was changed or cut"):
        read_bundle(file)
    with pytest.raises(ReplayError, match="cannot read the bundle"):
        read_bundle(tmp_path / "absent.json")


def test_the_sdk_holds_nothing_that_could_run_a_recording() -> None:
    forbidden = {"pickle", "marshal", "shelve", "dill", "importlib"}
    found = [
        f"{file.name}:{node.lineno}"
        for file in SDK.rglob("*.py")
        if file.name != "cli.py"
        for node in ast.walk(ast.parse(file.read_text()))
        if (isinstance(node, ast.Import) and any(name.name.partition(".")[0] in forbidden for name in node.names))
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"))
    ]

    assert found == []

"""What `import backtrail` brings into a program: no HTTP library, no protobuf, no pydantic models."""

import subprocess
import sys

import backtrail

HEAVY = {"httpx", "requests", "google.protobuf", "pydantic.main"}


def test_a_program_that_only_decorates_does_not_import_what_speaks_http() -> None:
    program = "import sys, backtrail; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert HEAVY & set(done.stdout.split()) == set()


def test_every_public_name_can_be_imported() -> None:
    assert [name for name in backtrail.__all__ if not hasattr(backtrail, name)] == []

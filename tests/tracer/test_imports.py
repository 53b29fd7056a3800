"""What `import backtrail` brings into a program: no HTTP library, no protobuf, no pydantic, no event loop."""

import subprocess
import sys

import backtrail

HEAVY = {
    "httpx",
    "requests",
    "google.protobuf",
    "pydantic",
    "pydantic_core",
    "asyncio",
    "ssl",
    "multiprocessing",
    "pickle",
}


def test_a_program_that_only_decorates_does_not_import_what_speaks_http() -> None:
    program = "import sys, backtrail; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert HEAVY & set(done.stdout.split()) == set()


def test_a_program_without_coroutines_records_without_importing_asyncio() -> None:
    program = """
import sys, backtrail

@backtrail.step
def double(number: int) -> int:
    return 2 * number

@backtrail.run
def main() -> int:
    with backtrail.step(name="block"):
        return double(21)

print(main(), "asyncio" in sys.modules)
"""

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["42", "False"]


def test_every_public_name_can_be_imported() -> None:
    assert [name for name in backtrail.__all__ if not hasattr(backtrail, name)] == []

"""Type checkers see a decorated function as its callers do: its parameters without the contexts, and its result."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import backtrail
from backtrail import RunContext, StepContext, ToolContext

T = TypeVar("T")


@dataclass
class AppContext(RunContext):
    user_id: str = ""


@backtrail.step
def price(amount: int, currency: str = "EUR") -> float:
    return float(amount)


@backtrail.tool(retries=1)
async def look_up(filters: dict[str, Any], ctx: AppContext, this: StepContext, limit: int = 10) -> list[str]:
    return [ctx.user_id]


@backtrail.tool
def by_name(name: str, *, tool: ToolContext) -> str:
    return name


@backtrail.agent(name="first")
def first(ctx: AppContext, words: str) -> str:
    return words


@backtrail.run
async def handle(query: str, ctx: AppContext) -> str:
    rows: list[str] = await look_up({"a": 1}) + await look_up({}, limit=3) + await look_up(filters={})
    await look_up({}, 5)
    await look_up({}, wrong=2)  # wrong
    await look_up("a")  # wrong
    return rows[0]


@backtrail.step
def words(n: int) -> Iterator[str]:
    yield "a"


@backtrail.step
async def chunks(n: int) -> AsyncIterator[bytes]:
    yield b"a"


@backtrail.step
def first_of(items: list[T]) -> T:
    return items[0]


@backtrail.step
@contextmanager
def opened(name: str) -> Iterator[int]:
    yield 1


class Shop:
    @backtrail.step
    def order(self, amount: int, ctx: AppContext) -> str:
        return ""

    @classmethod
    @backtrail.step
    def made(cls, amount: int) -> str:
        return ""

    @backtrail.step
    @staticmethod
    def checked(amount: int) -> bool:
        return True

    @property
    @backtrail.step
    def is_open(self) -> bool:
        return True


class Sale(Shop):
    @backtrail.step
    def order(self, amount: int, ctx: AppContext) -> str:
        return super().order(amount) + str(super().is_open)


async def program(shop: Shop, app: AppContext) -> None:
    cost: float = price(1) + price(1, currency="USD") + price(amount=1)
    price("1")  # wrong
    price(1, wrong=2)  # wrong
    price(1, context=app)  # wrong
    text: str = by_name("a") + by_name(name="a") + first("a") + first(app, "a") + first("a", ctx=app)
    by_name(1)  # wrong
    answer: str = await handle("q") + await handle("q", context=app) + await handle("q", app)
    again: str = await handle.with_options(context=app, conversation_id="c")("q")
    await handle("q", wrong=2)  # wrong
    await handle("q", context=5)  # wrong
    given: str = handle.__wrapped__.__name__ + by_name.__wrapped__("a", tool=ToolContext())
    items: list[str] = list(words(1)) + [str(item) async for item in chunks(1)]
    one: int = first_of([1])
    with opened("a") as number:
        two: int = number
    said: str = shop.order(1) + Shop.order(shop, 1) + Sale().order(1, ctx=app) + shop.made(1) + Shop.made(1)
    yes: bool = shop.checked(1) or Shop.checked(1) or shop.is_open
    shop.order("a")  # wrong
    shop.made("a")  # wrong
    shop.checked("a")  # wrong
    wrong: int = price(1)  # wrong
"""


def complaints(folder: Path, plugins: str) -> list[int]:
    """The lines mypy does not like."""
    (folder / "program.py").write_text(PROGRAM)
    (folder / "mypy.ini").write_text(f"[mypy]\nstrict = true\npython_version = 3.11\n{plugins}\n")
    cache = Path(".mypy_cache/typing") / ("plugin" if plugins else "plain")
    command = [sys.executable, "-m", "mypy", f"--config-file={folder}/mypy.ini", f"--cache-dir={cache}"]
    mypy = subprocess.run([*command, f"{folder}/program.py"], capture_output=True, text=True)
    assert mypy.returncode == 1, mypy.stderr
    return sorted({int(line) for line in re.findall(r"program\.py:(\d+): error", mypy.stdout)})


WRONG = [number for number, line in enumerate(PROGRAM.splitlines(), 1) if line.endswith("# wrong")]


@pytest.mark.timeout(300)
def test_mypy_with_the_plugin_finds_each_wrong_argument_and_nothing_else(tmp_path: Path) -> None:
    assert complaints(tmp_path, "plugins = backtrail.mypy") == WRONG


@pytest.mark.timeout(300)
def test_mypy_without_the_plugin_knows_the_results_and_complains_of_nothing_right(tmp_path: Path) -> None:
    found: Any = complaints(tmp_path, "")

    assert set(found) <= set(WRONG)
    assert WRONG[-1] in found

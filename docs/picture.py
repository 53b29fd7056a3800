"""Draws docs/demo.svg, the picture in the README, from what the demo really prints.

make picture
"""

import asyncio
import io
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from backtrail._reading import render as _render
from backtrail.client import Client
from examples import demo
from examples.checks import Checks
from examples.stub_openai import StubServer

PICTURE = Path(__file__).with_name("demo.svg")
THEME = TerminalTheme(
    background=(24, 26, 31),
    foreground=(214, 218, 224),
    normal=[
        (24, 26, 31),
        (236, 112, 99),
        (126, 190, 122),
        (226, 184, 97),
        (97, 155, 224),
        (190, 132, 214),
        (92, 184, 192),
        (214, 218, 224),
    ],
)


def main() -> int:
    picture = Console(record=True, width=100, file=io.StringIO(), force_terminal=True, highlight=False)
    with demo.started() as (client, stub):
        checks = asyncio.run(tell(picture, client, stub))
    picture.save_svg(str(PICTURE), title="make demo, in part", theme=THEME, unique_id="demo")
    return 0 if checks.all_held else 1


async def tell(picture: Console, client: Client, stub: StubServer) -> Checks:
    """The demo's story without its state and its checks: the picture is a first look."""
    checks = Checks()
    failed = await demo.fail(Console(file=io.StringIO()), client, stub, checks)
    picture.print(f"[dim]$[/dim] [cyan]backtrail show {failed.run_id[:8]}\n")
    picture.print(_render.run_view(failed))
    await demo.replay(picture, client, failed, stub, checks)
    return checks


if __name__ == "__main__":
    sys.exit(main())

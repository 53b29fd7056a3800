"""Draws docs/demo.svg, the picture in the README, from what the demo really prints.

    make picture
"""

import io
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from examples import demo

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
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True, highlight=False)
    code = demo.main(console)
    console.save_svg(str(PICTURE), title="make demo", theme=THEME, unique_id="demo")
    print(f"{PICTURE.relative_to(Path.cwd())}: {PICTURE.stat().st_size:,} bytes")
    return code


if __name__ == "__main__":
    sys.exit(main())

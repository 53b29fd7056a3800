"""python -m backtrail_store.conventions: write what is made of the table.

conventions.toml → **the files made of it**
"""

from pathlib import Path

from backtrail_store.conventions.page import page
from backtrail_store.conventions.sql import schema

ROOT = Path(__file__).parents[3]
MADE = {
    ROOT / "store/backtrail_store/schema/0004_conventions.sql": schema,
    ROOT / "docs/conventions.md": page,
}

if __name__ == "__main__":
    for path, make in MADE.items():
        path.write_text(make())

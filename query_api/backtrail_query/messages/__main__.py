"""python -m backtrail_query.messages: write the page that is made of the table.

sources.toml → **docs/messages.md**
"""

from pathlib import Path

from backtrail_query.messages.page import page

PAGE = Path(__file__).parents[3] / "docs/messages.md"

if __name__ == "__main__":
    PAGE.write_text(page())

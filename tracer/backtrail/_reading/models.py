"""The models in use as a table for people's eyes.

client → answers → **models** → terminal
"""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from backtrail._reading.answers import Model
from backtrail._reading.figures import cost, count, tokens
from backtrail._reading.visible import Visible, one_line

COLUMNS = ("model", "calls", "tokens", "cost", "$/1M in → out", "price")


def model_table(models: Sequence[Model]) -> RenderableType:
    """One line for each model; those without a price say how many calls wait for one."""
    if not models:
        return Text("No model was used.", style="dim")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for column in COLUMNS:
        is_figure = column in COLUMNS[1:5]
        table.add_column(column, justify="right" if is_figure else "left", no_wrap=is_figure, overflow="fold")
    for model in models:
        table.add_row(
            _name(model),
            f"{model.span_count:,}",
            tokens(model.input_tokens, model.output_tokens),
            cost(model.cost_usd, unpriced=model.waiting_count),
            _price(model),
            _source(model),
        )
    return Visible(table)


def _name(model: Model) -> Text:
    name = Text(one_line(model.model)) if model.model else Text("no name", style="dim")
    return name.append(f"  {one_line(model.provider)}", style="dim") if model.provider else name


def _price(model: Model) -> str:
    if model.price is None:
        return ""
    dollars = f"{_dollars(model.price.input)} → {_dollars(model.price.output)}"
    return f"{dollars}, tiers" if model.price.tiers else dollars


def _dollars(amount: float) -> str:
    text = f"{amount:.12f}".rstrip("0")
    whole, _, fraction = text.partition(".")
    return f"${whole}.{fraction.ljust(2, '0')}"


def _source(model: Model) -> Text:
    text = Text()
    if model.price is not None:
        origin = one_line(model.price.origin)
        text.append("genai-prices" if model.price.source == "genai-prices" else f"yours: {origin}", style="dim")
    if model.waiting_count:
        wait = f"{count(model.waiting_count, 'call')} without a price"
        text.append(f"{'; ' if text else ''}! {wait}", style="yellow")
    return text

"""Times, tokens and dollars in few characters.

answers → **figures** → render
"""

from datetime import datetime


def duration(nanoseconds: int) -> str:
    seconds = nanoseconds / 1e9
    if seconds < 0.001:
        return f"{nanoseconds / 1e3:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def cost(dollars: float | None, *, unpriced: int = 0) -> str:
    """Dollars; a sum that leaves out calls without a price is marked."""
    if dollars is None:
        return "unknown" if unpriced else ""
    digits = 2 if dollars >= 1 or dollars == 0 else 4 if dollars >= 0.001 else 6
    return f"{'≥ ' if unpriced else ''}${dollars:,.{digits}f}"


def tokens(input_tokens: int | None, output_tokens: int | None) -> str:
    if input_tokens is None and output_tokens is None:
        return ""
    return f"{_thousands(input_tokens)} → {_thousands(output_tokens)}"


def _thousands(count: int | None) -> str:
    if count is None:
        return "?"
    if count < 10_000:
        return f"{count:,}"
    return f"{count / 1e3:.0f}k" if count < 1_000_000 else f"{count / 1e6:.1f}M"


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def ago(then: datetime, now: datetime) -> str:
    seconds = (now - then).total_seconds()
    if seconds < 60:
        return f"{max(0, seconds):.0f} s ago"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min ago"
    if seconds < 86_400:
        return f"{seconds // 3600:.0f} h ago"
    return then.astimezone().strftime("%b %d %H:%M")

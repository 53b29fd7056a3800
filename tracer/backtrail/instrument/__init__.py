"""Calls of other people's clients as steps: recorded with their usage, served from the record in a replay.

    client.chat.completions.create(…) → **instrument** → step of kind llm → the client's own code

Each module wraps one library's one door for calls, and knows its shapes; nothing here is imported until it is
asked for. Outside a run the wrapped methods do what they did.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from backtrail.errors import MissingPackageError


def instrument_openai() -> None:
    """Make every call of every OpenAI client a step: chat completions, responses, completions and embeddings.

    backtrail.instrument_openai()
    """
    with _needed("openai"):
        from . import openai
    openai.instrument()


def uninstrument_openai() -> None:
    """Leave OpenAI clients as they were."""
    with _needed("openai"):
        from . import openai
    openai.uninstrument()


def instrument_anthropic() -> None:
    """Make every message asked of an Anthropic client a step.

    backtrail.instrument_anthropic()
    """
    with _needed("anthropic"):
        from . import anthropic
    anthropic.instrument()


def uninstrument_anthropic() -> None:
    """Leave Anthropic clients as they were."""
    with _needed("anthropic"):
        from . import anthropic
    anthropic.uninstrument()


def instrument_mcp() -> None:
    """Make every tool called over an MCP session a step of that tool's name.

    backtrail.instrument_mcp()
    """
    with _needed("mcp"):
        from . import mcp
    mcp.instrument()


def uninstrument_mcp() -> None:
    """Leave MCP sessions as they were."""
    with _needed("mcp"):
        from . import mcp
    mcp.uninstrument()


@contextmanager
def _needed(package: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        message = f"instrument_{package}() needs a package: pip install 'backtrail[{package}]'"
        raise MissingPackageError(message, name=package) from error

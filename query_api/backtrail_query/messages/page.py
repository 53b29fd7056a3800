"""The table for people.

table → **page** → docs/messages.md
"""

from collections.abc import Iterable, Iterator

from backtrail_query.messages.table import ANY, Field, Source, Table, table
from backtrail_store.conventions.table import conventions

HEAD = """\
# Messages

Whoever recorded a model call, its messages are told in one shape, that of OpenTelemetry's conventions for generative
AI:

    [{"role": "assistant",
      "parts": [{"type": "text", "content": "I look it up."},
                {"type": "tool_call", "id": "call_1", "name": "search", "arguments": {"q": "lamp"}}],
      "finish_reason": "tool_call"}]

- **Where**: `GET /api/v1/traces/{trace_id}/spans/{span_id}` tells one span with its messages, and
  `GET /api/v1/traces/{trace_id}/messages` the conversation of a trace, each message once. In Python
  `client.span(trace_id, span_id)` and `client.messages(trace_id)`, at a terminal `backtrail show RUN --messages`.
- **Roles** are `system`, `user`, `assistant` and `tool`; `ai` and `model`, `human`, `developer` and `function` are
  other words for them.
- **Parts** are `text`, `reasoning`, `refusal`, `tool_call` and `tool_call_response`, and for images, sounds and files
  `blob`, `uri` and `file`. A blob has its type, its size, and a `reference` to where its bytes lie among the span's
  attributes, events or log records. Parts of other types stay as they came.
- **Finish reasons** are `stop`, `length`, `tool_call`, `content_filter`, or the provider's own word.
- **Arguments and results** that are JSON text are told as what they say.
- **Tool calls** say whether their result is there (`has_result`), and which span ran them (`tool_span_id`).

All of it is read from what is stored when it is asked for: a rule that is new holds for old spans too. Where payloads
have aged out, there are no messages. Of more than 10,000 numbered attributes of a family the rest is left out and
counted.

Below is where each dialect puts what was said. The lines are asked in order, and the first that says something is
taken. The form is what is usually found there, but what is found is looked at: messages of OpenAI (Chat and
Responses), Anthropic, Gemini, Bedrock, LangChain, the Vercel AI SDK, Pydantic AI and Genkit are known wherever they
stand, alone or within a whole request or answer. What is no message is shown as one, with its text.

This page is made of [sources.toml](../query_api/backtrail_query/messages/sources.toml) by `make conventions`: a place
that is missing is a line there.
"""


def page() -> str:
    return "\n".join(_parts(table()))


def _parts(said: Table) -> Iterator[str]:
    names = {dialect.key: dialect.name for dialect in conventions().dialects} | {ANY: "any"}
    yield HEAD
    for field in said.fields.values():
        yield from _field(field, names)
    yield "## Forms\n"
    yield _rows(("form", "what it is"), ((form, means) for form, means in said.forms.items()))


def _field(field: Field, names: dict[str, str]) -> Iterator[str]:
    yield f"## {field.name}\n"
    yield f"{field.means[0].upper()}{field.means[1:]}.\n"
    yield _rows(("where", "dialect", "form"), (_source(source, names) for source in field.sources))


def _source(source: Source, names: dict[str, str]) -> tuple[str, ...]:
    where = ", ".join(f"`{name}`" for name in source.names)
    match source.place:
        case "family":
            where = f"`{source.name}.N.…`"
        case "members":
            where = f"`{source.name}.…`"
        case "event":
            where = f"event {where}" + (f": `{source.member}`" if source.member else "")
        case "attribute":
            where += ", in its own spans only" if source.is_bare else ""
    return where, names[source.dialect], source.form + (" (not of tools and retrievals)" if source.is_generic else "")


def _rows(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"

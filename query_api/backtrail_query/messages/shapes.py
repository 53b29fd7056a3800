"""One message of any dialect: which shape it has, and what is in it.

    recognition → **shapes** → blocks, parts

A shape is known by its members. What has none of these shapes is no message.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from backtrail_query.messages.blocks import (
    Block,
    first,
    is_block,
    read_block,
    read_blocks,
    read_call,
    read_calls,
    response_of,
)
from backtrail_query.messages.parts import (
    Message,
    Part,
    finish_reason_of,
    parsed_once,
    reasoning,
    role_of,
    tool_call_response,
)

_FINISH = ("finish_reason", "finishReason", "stop_reason", "stopReason", "done_reason")
_REASONING = ("reasoning_content", "reasoning", "thinking")
_LANGCHAIN = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool", "function": "tool"}
_LANGCHAIN |= {"chat": "", "developer": "system", "remove": ""}
_ITEMS = {
    "function_call": "assistant",
    "reasoning": "assistant",
    "mcp_call": "assistant",
    "function_call_output": "tool",
}
_SERVER_ITEMS = (
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "computer_call",
)
_EVENT_ROLES = {"gen_ai.system.message": "system", "gen_ai.user.message": "user", "gen_ai.tool.message": "tool"}
_EVENT_ROLES |= {"gen_ai.assistant.message": "assistant", "gen_ai.choice": "assistant"}


def read_message(said: object, default_role: str) -> list[Message] | None:
    """The message, or the messages that one object of a dialect stands for; None if it is none."""
    if not isinstance(said, dict):
        return None
    for shape in _SHAPES:
        if (messages := shape(said, default_role)) is not None:
            return messages
    return None


def _of_event(said: Block, default_role: str) -> list[Message] | None:
    """An event of OpenTelemetry's first conventions, or as Logfire lists them."""
    name = said.get("event.name")
    if not isinstance(name, str) or name not in _EVENT_ROLES:
        return None
    rest = {key: value for key, value in said.items() if key != "event.name"}
    rest.setdefault("role", _EVENT_ROLES[name])
    return _wrapped(rest, default_role) or _with_role(rest, default_role)


def _of_langchain(said: Block, default_role: str) -> list[Message] | None:
    """As `dumps` writes it, `{lc, id, kwargs}`; as `message_to_dict`, `{type, data}`; or as its own members."""
    kind = said.get("type")
    inner: object = said
    if "lc" in said and isinstance(said.get("kwargs"), dict):
        inner = said["kwargs"]
        path = said.get("id")
        kind = path[-1] if isinstance(path, list) and path else kind
    elif isinstance(said.get("data"), dict) and isinstance(kind, str):
        inner = said["data"]
    elif "role" in said or "content" not in said:
        return None
    if not isinstance(kind, str) or not isinstance(inner, dict) or "content" not in inner:
        return None
    word = kind.removesuffix("Chunk").removesuffix("Message").lower()
    if word not in _LANGCHAIN:
        return None
    role = _LANGCHAIN[word] or inner.get("role")
    more = inner.get("additional_kwargs")
    about = inner.get("response_metadata")
    fields = {
        **(more if isinstance(more, dict) else {}),
        **(about if isinstance(about, dict) else {}),
        **{key: value for key, value in inner.items() if value not in (None, [], "")},
        "role": role,
    }
    calls = fields.get("tool_calls")
    return [_message({**fields, "content": inner["content"], "tool_calls": calls}, default_role)]


def _of_pydantic_ai(said: Block, default_role: str) -> list[Message] | None:
    if said.get("kind") not in ("request", "response") or not isinstance(said.get("parts"), list) or "role" in said:
        return None
    if said["kind"] == "response":
        return [_message({**said, "role": "assistant"}, default_role)]
    roles = {"system-prompt": "system", "tool-return": "tool", "retry-prompt": "tool"}
    messages = [{"role": "system", "content": said["instructions"]}] if said.get("instructions") else []
    for part in said["parts"]:
        kind = part.get("part_kind") if isinstance(part, dict) else None
        content = part.get("content") if kind in ("user-prompt", "system-prompt") else part
        messages.append({"role": roles.get(str(kind), "user"), "content": content})
    return [_message(each, default_role) for each in messages]


def _of_response_item(said: Block, default_role: str) -> list[Message] | None:
    """OpenAI's Responses list calls, their outputs and reasoning beside messages."""
    kind = said.get("type")
    if not isinstance(kind, str) or "role" in said:
        return None
    if kind in _SERVER_ITEMS:
        call = {"id": said.get("id"), "name": kind.removesuffix("_call"), "arguments": said.get("action") or {}}
        return [Message("assistant", [read_call(call)])]
    if kind not in _ITEMS:
        return None
    if kind == "function_call":
        # `id` is the item's, `call_id` what the output will name.
        said = {**said, "id": first(said, "call_id", "id")}
    return [Message(_ITEMS[kind], read_block(said))]


def _wrapped(said: Block, default_role: str) -> list[Message] | None:
    """A choice around a message, which says how it ended."""
    inner = first(said, "message", "delta")
    if isinstance(inner, str):
        inner = parsed_once(inner)
    if not isinstance(inner, dict):
        return None
    messages = read_message({"role": said["role"], **inner} if "role" in said else inner, default_role)
    finish = finish_reason_of(first(said, *_FINISH))
    if not messages or not finish or messages[-1].finish_reason:
        return messages
    return [*messages[:-1], replace(messages[-1], finish_reason=finish)]


def _with_role(said: Block, default_role: str) -> list[Message] | None:
    is_one = isinstance(said.get("role"), str) and not isinstance(said.get("message"), dict)
    return [_message(said, default_role)] if is_one else None


def _without_role(said: Block, default_role: str) -> list[Message] | None:
    """Some leave the role of an answer out."""
    if isinstance(said.get("parts"), list) and all(isinstance(part, dict) for part in said["parts"]):
        return [_message(said, default_role)]
    has_words = "content" in said and not (said.keys() - _WORDS)
    return [_message(said, default_role)] if has_words or "tool_calls" in said else None


def _message(said: Block, default_role: str) -> Message:
    role = role_of(said.get("role"), default_role)
    parts = [reasoning(said[key]) for key in _REASONING if isinstance(said.get(key), str) and said[key]][:1]
    parts += _content(said, role)
    if isinstance(said.get("refusal"), str) and said["refusal"]:
        parts.append({"type": "refusal", "content": said["refusal"]})
    audio = said.get("audio")
    if isinstance(audio, dict):
        parts += read_block({"type": "audio", **audio, "file_id": audio.get("id")})
    calls = read_calls(first(said, "tool_calls", "toolCalls"))
    told = {call["id"] for call in calls} - {
        None
    }  # LangChain has Anthropic's blocks beside, at times without arguments
    parts = [part for part in parts if part["type"] != "tool_call" or part.get("id") not in told] + calls
    if said.get("function_call"):
        parts += read_calls(said["function_call"])
    parts = [part for part in parts if not _is_husk(part)]
    name = said.get("name")
    finish = finish_reason_of(first(said, *_FINISH))
    return Message(role, parts, finish, name if isinstance(name, str) and role != "tool" else None)


def _is_husk(part: Part) -> bool:
    """OpenInference leaves a block of a tool's call empty, and has the call beside."""
    return part["type"] == "tool_call" and not (part.get("id") or part.get("name") or part.get("arguments"))


def _content(said: Block, role: str) -> list[Part]:
    content = first(said, "parts", "content", "contents", "text")
    if isinstance(content, list) and "contents" in said:
        content = [each.get("message_content", each) if isinstance(each, dict) else each for each in content]
    if role == "tool":
        return _tool_content(said, content)
    if isinstance(content, dict) and isinstance(content.get("parts"), list):
        content = content["parts"]
    return read_blocks(content)


def _tool_content(said: Block, content: object) -> list[Part]:
    """Blocks that are results themselves; else the whole of it is the result of the call that is named beside."""
    blocks = read_blocks(content) if isinstance(content, list | dict) else []
    if blocks and all(part["type"] == "tool_call_response" for part in blocks):
        return blocks
    id_ = first(said, "tool_call_id", "toolCallId", "tool_use_id", "call_id", "id")
    failed = said.get("status") == "error" or said.get("is_error") is True
    result = content if isinstance(content, dict) and not is_block(content) else response_of(content)
    return [tool_call_response(id_, result, name=first(said, "name", "tool_name"), is_error=failed or None)]


def set_apart(messages: Sequence[Message]) -> list[Message]:
    """Anthropic and Gemini send a tool's results as the user's words: they become messages of the tool."""
    apart: list[Message] = []
    for message in messages:
        results = [part for part in message.parts if part["type"] == "tool_call_response"]
        if message.role != "user" or not results:
            apart.append(message)
            continue
        apart.append(Message("tool", results))
        if rest := [part for part in message.parts if part["type"] != "tool_call_response"]:
            apart.append(Message(message.role, rest, message.finish_reason, message.name))
    return apart


def spoken(parts: Sequence[Part], role: str) -> Message:
    """A message of parts without a role: calls are the model's, and results the tools'."""
    kinds = {part["type"] for part in parts}
    if "tool_call" in kinds:
        return Message("assistant", parts)
    return Message("tool" if kinds == {"tool_call_response"} else role, parts)


_WORDS = {"content", "index", "name", "id", "tool_calls", *_FINISH, *_REASONING}
_SHAPES: Sequence[Callable[[Block, str], list[Message] | None]] = (
    _of_event,
    _of_langchain,
    _of_pydantic_ai,
    _of_response_item,
    _wrapped,
    _with_role,
    _without_role,
)

"""One block of a message's content, of any dialect, as parts.

    message_shapes → **blocks** → parts, media

Most blocks say their `type`, and no two dialects mean different things by one, or the difference is in the members.
Gemini's, Bedrock's and Genkit's blocks have none: there the only member tells it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from backtrail_query.messages.media import document, media
from backtrail_query.messages.parts import (
    Part,
    as_text,
    other,
    parsed_once,
    reasoning,
    text,
    tool_call,
    tool_call_response,
)

Block: TypeAlias = Mapping[str, Any]

_CALL_IDS = ("id", "toolCallId", "tool_call_id", "call_id", "toolUseId", "tool_use_id", "ref")
_CALLED_IDS = ("tool_call_id", "toolCallId", "tool_use_id", "toolUseId", "call_id", "id", "ref")
_NAMES = ("name", "toolName", "tool_name")
_ARGUMENTS = ("arguments", "args", "input", "parameters")
_RESPONSES = ("response", "result", "output", "content", "return_value")


def read_blocks(content: object) -> list[Part]:
    """Content: a text, a block, or a list of both."""
    match content:
        case None:
            return []
        case str():
            return [text(content)] if content else []
        case dict():
            return read_block(content)
        case list():
            return [part for block in content for part in read_blocks_of(block)]
        case _:
            return [text(content)]


def read_blocks_of(block: object) -> list[Part]:
    if isinstance(block, dict):
        return read_block(block)
    return [] if block is None or block == "" else [text(block)]


def read_block(block: Block) -> list[Part]:
    kind = first(block, "type", "part_kind", "kind")
    if isinstance(kind, str):
        if reader := TYPED.get(kind):
            return reader(block)
        if kind.startswith("tool-") and "toolCallId" in block:
            return _invocation({"toolName": kind.removeprefix("tool-"), **block})
        if kind.endswith("_tool_result"):
            return [_response(block)]
    for key, read in KEYED.items():
        if key in block:
            return read(block)
    return [other(block)]


def is_block(value: object) -> bool:
    """Whether it looks like content, so that a text may be taken for it."""
    if not isinstance(value, dict):
        return False
    kind = value.get("type")
    return (isinstance(kind, str) and kind in TYPED) or any(key in value for key in KEYED)


def read_call(call: Block) -> Part:
    """OpenAI's `{id, function: {name, arguments}}`, and the flat ones of everybody else."""
    inner = call.get("function")
    inner = inner if isinstance(inner, dict) else call
    return tool_call(first(call, *_CALL_IDS), first(inner, *_NAMES) or call.get("name"), first(inner, *_ARGUMENTS))


def response_of(content: object) -> object:
    """A tool's result: texts joined to one, or the parts where images and files are among them."""
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict) and [*content[0]] == ["json"]:
        return content[0]["json"]  # Bedrock
    if not isinstance(content, list) or not content or not all(is_block(block) for block in content):
        return content
    parts = read_blocks(content)
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["content"] for part in parts)
    return parts


def first(block: Block, *names: str) -> Any:
    return next((block[name] for name in names if block.get(name) is not None), None)


def _text(block: Block) -> list[Part]:
    content = first(block, "text", "content", "output_text", "value")
    return [text(content)] if content not in (None, "") else []


def _reasoning(block: Block) -> list[Part]:
    """A text, or the summaries of what a provider keeps to itself."""
    said = first(block, "content", "text", "thinking", "reasoning", "reasoningText", "summary")
    if isinstance(said, list):
        said = "\n".join(as_text(first(each, "text", "content") if isinstance(each, dict) else each) for each in said)
    if isinstance(said, dict):
        said = said.get("text")
    hidden = first(block, "encrypted_content", "data", "redactedContent", "redacted_content")
    if not said:
        return [reasoning("", redacted=True)] if hidden else []
    return [reasoning(said)]


def _call(block: Block) -> list[Part]:
    return [read_call(block)]


def _response(block: Block) -> Part:
    result = first(block, *_RESPONSES)
    if isinstance(result, dict) and result.keys() <= {"type", "value"} and "value" in result:
        result = result["value"]  # Vercel says of what type it is
    failed = first(block, "is_error", "isError") or block.get("status") == "error"
    return tool_call_response(
        first(block, *_CALLED_IDS), response_of(result), name=first(block, *_NAMES), is_error=failed or None
    )


def _responded(block: Block) -> list[Part]:
    return [_response(block)]


def _invocation(block: Block) -> list[Part]:
    """The page's own messages of the Vercel SDK have a call and its result in one."""
    inner = block.get("toolInvocation")
    inner = inner if isinstance(inner, dict) else block
    has_result = first(inner, "result", "output") is not None
    return [read_call(inner), *([_response(inner)] if has_result else [])]


def _image(block: Block) -> list[Part]:
    return [media(block, "image")]


def _audio(block: Block) -> list[Part]:
    return [media(block, "audio")]


def _video(block: Block) -> list[Part]:
    return [media(block, "video")]


def _file(block: Block) -> list[Part]:
    modality = block.get("modality")
    return [media(block, modality if isinstance(modality, str) else "")]


def _refusal(block: Block) -> list[Part]:
    return [{"type": "refusal", "content": as_text(first(block, "refusal", "content", "text"))}]


TYPED: Mapping[str, Callable[[Block], list[Part]]] = {
    **dict.fromkeys(("text", "input_text", "output_text", "summary_text", "user-prompt", "system-prompt"), _text),
    **dict.fromkeys(("reasoning", "thinking", "redacted_thinking", "reasoning_text", "redacted-reasoning"), _reasoning),
    **dict.fromkeys(("tool_call", "tool-call", "tool_use", "function_call", "server_tool_use", "mcp_tool_use"), _call),
    **dict.fromkeys(("mcp_call", "builtin-tool-call"), _call),
    **dict.fromkeys(("tool_call_response", "tool-result", "tool_result", "function_call_output"), _responded),
    **dict.fromkeys(("tool-return", "builtin-tool-return", "retry-prompt", "tool-error"), _responded),
    "tool-invocation": _invocation,
    **dict.fromkeys(("image", "image_url", "input_image", "image-url", "image-data"), _image),
    **dict.fromkeys(("audio", "input_audio", "output_audio", "audio-url"), _audio),
    **dict.fromkeys(("video", "video_url", "video-url"), _video),
    **dict.fromkeys(("file", "input_file", "binary", "media", "document-url", "file-url", "file-data"), _file),
    "document": document,
    **dict.fromkeys(("blob", "uri"), _file),
    "refusal": _refusal,
}


def _keyed_text(block: Block) -> list[Part]:
    """Gemini marks what was thought; Bedrock's and Genkit's texts are nothing but that."""
    return [reasoning(block["text"]) if block.get("thought") is True else text(block["text"])] if block["text"] else []


def _inner(key: str, read: Callable[[Block], list[Part]]) -> Callable[[Block], list[Part]]:
    def read_inner(block: Block) -> list[Part]:
        inner = block[key]
        return read(inner) if isinstance(inner, dict) else [other({"type": key, "content": inner})]

    return read_inner


def _bedrock_reasoning(block: Block) -> list[Part]:
    inner = block["reasoningContent"]
    return _reasoning(inner) if isinstance(inner, dict) else []


KEYED: Mapping[str, Callable[[Block], list[Part]]] = {
    "functionCall": _inner("functionCall", _call),
    "function_call": _inner("function_call", _call),
    "functionResponse": _inner("functionResponse", _responded),
    "function_response": _inner("function_response", _responded),
    "toolUse": _inner("toolUse", _call),
    "toolResult": _inner("toolResult", _responded),
    "toolRequest": _inner("toolRequest", _call),
    "toolResponse": _inner("toolResponse", _responded),
    "inlineData": _file,
    "inline_data": _file,
    "fileData": _file,
    "file_data": _file,
    "media": _file,
    "image": _image,
    "document": _file,
    "video": _video,
    "reasoningContent": _bedrock_reasoning,
    "reasoning": _reasoning,
    "text": _keyed_text,
}


def read_calls(calls: object) -> list[Part]:
    """A list of tool calls, or the text of one."""
    calls = parsed_once(calls)
    if isinstance(calls, dict):
        calls = [calls]
    if not isinstance(calls, Sequence) or isinstance(calls, str):
        return []
    parsed = [parsed_once(call) for call in calls]
    inner = [call.get("tool_call", call) for call in parsed if isinstance(call, dict)]
    return [read_call(call) for call in inner if isinstance(call, dict)]

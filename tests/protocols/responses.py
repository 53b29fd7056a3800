"""OpenAI's Responses API, at once and as a stream.

providers → **responses** → saying
"""

from typing import Any

from tests.protocols.saying import Body, dated, pieces_of, say, text_of

USAGE: Body = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 0},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 120,
}


def response(body: Body, number: int) -> Body:
    return {
        "id": f"resp_{number:050}",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "model": dated(body["model"]),
        "output": [*reasoning_in(body, number), output_item(body, number)],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": body.get("tools") or [],
        "usage": USAGE,
    }


def reasoning_in(body: Body, number: int) -> list[Body]:
    """Reasoning is told in short to who asks for a summary."""
    if not (body.get("reasoning") or {}).get("summary"):
        return []
    return [{"type": "reasoning", "id": f"rs_{number}", "summary": [{"type": "summary_text", "text": "They greet."}]}]


def output_item(body: Body, number: int) -> Body:
    last = body["input"] if isinstance(body["input"], str) else body["input"][-1]
    answers_a_tool = isinstance(last, dict) and last.get("type") == "function_call_output"
    text = last if isinstance(last, str) else text_of(last.get("output") if answers_a_tool else last.get("content"))
    tools = [(tool["name"], tool.get("parameters") or {}) for tool in body.get("tools") or [] if "name" in tool]
    as_json = ((body.get("text") or {}).get("format") or {}).get("type", "text") != "text"
    said = say(text, tools, as_json=as_json, answers_a_tool=answers_a_tool)
    if isinstance(said, str):
        part = {"type": "output_text", "text": said, "annotations": [], "logprobs": []}
        of_message = {"role": "assistant", "content": [part]}
        return {"type": "message", "id": f"msg_{number}", "status": "completed", **of_message}
    call = {"call_id": f"call_{number}", "name": said.tool, "arguments": said.as_json}
    return {"type": "function_call", "id": f"fc_{number}", "status": "completed", **call}


def response_events(answer: Body, body: Body) -> list[Body]:
    begun = {**answer, "status": "in_progress", "output": [], "usage": None}
    events: list[Body] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        *(event for index, item in enumerate(answer["output"]) for event in item_events(item, index)),
        {"type": "response.completed", "response": answer},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def item_events(item: Body, index: int) -> list[Body]:
    parts = {"message": text_events, "function_call": argument_events, "reasoning": summary_events}[item["type"]](item)
    empty: dict[str, Body] = {
        "message": {"content": []},
        "function_call": {"arguments": ""},
        "reasoning": {"summary": []},
    }
    added = {"type": "response.output_item.added", "item": {**item, **empty[item["type"]], "status": "in_progress"}}
    done = {"type": "response.output_item.done", "item": item}
    where = {"item_id": item["id"]}
    return [{**one, "output_index": index} for one in (added, *({**part, **where} for part in parts), done)]


def text_events(item: Body) -> list[Body]:
    [part] = item["content"]
    events = between("response.content_part", {**part, "text": ""}, part, "response.output_text", part["text"])
    return [{**event, "content_index": 0, "logprobs": []} for event in events]


def summary_events(item: Body) -> list[Body]:
    [part] = item["summary"]
    names = ("response.reasoning_summary_part", "response.reasoning_summary_text")
    events = between(names[0], {**part, "text": ""}, part, names[1], part["text"])
    return [{**event, "summary_index": 0} for event in events]


def between(part: str, empty: Body, whole: Body, text: str, said: str) -> list[dict[str, Any]]:
    return [
        {"type": f"{part}.added", "part": empty},
        *({"type": f"{text}.delta", "delta": one} for one in pieces_of(said)),
        {"type": f"{text}.done", "text": said},
        {"type": f"{part}.done", "part": whole},
    ]


def argument_events(item: Body) -> list[Body]:
    name, said = "response.function_call_arguments", item["arguments"]
    done = {"type": f"{name}.done", "arguments": said, "name": item["name"]}
    return [*({"type": f"{name}.delta", "delta": one} for one in pieces_of(said)), done]

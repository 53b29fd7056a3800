"""MCP's client sessions: each tool called over one is a step of that tool's name.

instrument_mcp() → **ClientSession.call_tool** → _client_call → the server's tool
"""

from __future__ import annotations

import functools
from typing import Any

from mcp import ClientSession, types
from mcp.shared import exceptions
from pydantic import BaseModel, TypeAdapter

from backtrail._boundary import never_raise
from backtrail._runs.steps import StepKind, StepPlan

from ._client_call import ClientCall, call_as_step_async, errors_of, is_recording
from ._patch import Method, Patch

# The first of these names is that of version 2.
_ERROR: type[Exception] = getattr(exceptions, "MCPError", None) or exceptions.McpError  # type: ignore[attr-defined]
_ANSWERS = [getattr(types, name) for name in ("CallToolResult", "InputRequiredResult") if hasattr(types, name)]
_NO_INPUTS = frozenset({"read_timeout_seconds", "progress_callback", "meta"})

_preparing = never_raise("preparing to record a tool's call")


def instrument() -> None:
    _patch.apply()


def uninstrument() -> None:
    _patch.remove()


@functools.lru_cache(maxsize=256)
def _plan(tool: str) -> StepPlan:
    return StepPlan(tool, StepKind.TOOL_CALL, raises=(*errors_of(_ERROR), types.ErrorData))


class ToolCall(ClientCall[Any]):
    """One tool called over a session."""

    def __init__(self, call_tool: Method, session: Any, name: str, arguments: Any, rest: tuple[Any, ...], more: Any):
        super().__init__()
        self._send = functools.partial(call_tool, session, name, arguments, *rest, **more)
        self.plan = _plan(name)
        continued = {key: _as_data(value) for key, value in more.items() if key not in _NO_INPUTS and value}
        self.inputs = {"arguments": arguments or {}, **continued}

    def send(self) -> Any:
        return self._send()

    def recorded(self, answer: Any) -> Any:
        return _as_data(answer) if isinstance(answer, tuple(_ANSWERS)) else answer

    def given(self, result: Any) -> Any:
        return self.answer if self.is_answered else _adapter().validate_python(result)


def _as_data(value: Any) -> Any:
    return value.model_dump(mode="json", by_alias=True, exclude_none=True) if isinstance(value, BaseModel) else value


@functools.cache
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(functools.reduce(lambda one, other: one | other, _ANSWERS))


def _recording_call_tool(call_tool: Method) -> Method:
    async def recorded(self: Any, name: str, arguments: Any = None, *rest: Any, **more: Any) -> Any:
        call: ToolCall | None = None
        if is_recording():
            with _preparing:
                call = ToolCall(call_tool, self, name, arguments, rest, more)
        if call is None:
            return await call_tool(self, name, arguments, *rest, **more)
        return call.given(await call_as_step_async(call))

    return recorded


_patch = Patch(ClientSession, "call_tool", _recording_call_tool)

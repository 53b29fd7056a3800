"""The one door of a Stainless client, `request()`: which of its calls become steps, and of what kind.

openai.py, anthropic.py → **recording_request** → StainlessCall, StainlessStream → _client_call
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from backtrail._boundary import never_raise

from ._client_call import (
    call_as_step,
    call_as_step_async,
    is_recording,
    stream_as_step,
    stream_as_step_async,
)
from ._patch import Method
from ._stainless import Endpoint, StainlessCall, raw_header
from ._stainless_stream import StainlessStream

_READ_BY_CALLER = "stream"
_preparing = never_raise("preparing to record a client's call")


def recording_request(request: Method, endpoints: Mapping[str, Endpoint]) -> Method:
    """`request`, its calls to these paths as steps."""

    def prepare(client: Any, cast_to: Any, options: Any, stream: bool, stream_cls: Any) -> StainlessCall | None:
        if not is_recording():
            return None
        with _preparing:
            endpoint = endpoints.get(options.url.partition("?")[0])
            is_json = options.method.lower() == "post" and isinstance(options.json_data, dict) and not options.files
            raw = raw_header(options)
            if endpoint is not None and is_json and raw != _READ_BY_CALLER and not (raw and stream):
                kind = StainlessStream if stream else StainlessCall
                return kind(request, endpoint, client, cast_to, options, stream_cls)
        return None

    def recorded(self: Any, cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None) -> Any:
        call = prepare(self, cast_to, options, stream, stream_cls)
        if call is None:
            return request(self, cast_to, options, stream=stream, stream_cls=stream_cls)
        return call.parsed(call.given((stream_as_step if stream else call_as_step)(call)))

    async def recorded_async(
        self: Any, cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None
    ) -> Any:
        call = prepare(self, cast_to, options, stream, stream_cls)
        if call is None:
            return await request(self, cast_to, options, stream=stream, stream_cls=stream_cls)
        given = call.given(await (stream_as_step_async if stream else call_as_step_async)(call))
        return call.parsed(await given if inspect.isawaitable(given) else given)

    return recorded_async if inspect.iscoroutinefunction(request) else recorded

"""Clients made by Stainless, OpenAI's and Anthropic's: every call goes through `request(cast_to, options)`.

    openai.py, anthropic.py → **StainlessCall** → _client_call → request → HTTP

One door for all of it: raw responses, parsed ones, sync, async. In a replay the recorded JSON goes through the
client's own response handling, so that each caller gets what it gets from the service.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backtrail._boundary import never_raise
from backtrail._llm import ModelCall
from backtrail._steps import StepPlan
from backtrail.errors import ReplayError

from ._client_call import ClientCall, call_as_step, call_as_step_async, is_recording
from ._patch import Method

_RAW_RESPONSE = "X-Stainless-Raw-Response"
_READ_BY_CALLER = "stream"
_LEFT_OUT = ("NotGiven", "Omit")  # classes of the values that stand for no value
_preparing = never_raise("preparing to record a client's call")

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path of a service: the plan of its steps, whose it is, and what a question and its answer say."""

    plan: Callable[[str], StepPlan]
    provider: Callable[[Any], str]
    said: Callable[[Body, Body], ModelCall]


class StainlessCall(ClientCall[Any]):
    """One request of a client."""

    def __init__(self, request: Method, endpoint: Endpoint, client: Any, cast_to: Any, options: Any) -> None:
        super().__init__()
        self._request = request
        self._endpoint = endpoint
        self._client = client
        self._cast_to = cast_to
        self._parse = options.post_parser
        self._raw = _raw_header(options)
        self._options = options
        if callable(self._parse) and not self._raw:
            # What it makes of the answer (a user's class, say) is made anew each time, from the recorded answer.
            self._options = options.model_copy()
            self._options.post_parser = _unchanged
        body = {**options.json_data, **(options.extra_json or {})}
        self._body = {name: value for name, value in body.items() if type(value).__name__ not in _LEFT_OUT}
        self.inputs = {"endpoint": options.url, **self._body}
        self.plan = endpoint.plan(str(self._body.get("model") or options.url))

    def send(self) -> Any:
        if self.step is not None:
            # Before it is sent: a call that fails had a model too.
            self.step.record_llm(provider=self._endpoint.provider(self._client), request_model=self._body.get("model"))
        return self._request(self._client, self._cast_to, self._options)

    def recorded(self, answer: Any) -> Any:
        data = answer.http_response.json() if self._raw else answer.to_dict(mode="json", warnings=False)
        if self.step is not None:
            self.step.record_llm(**self._endpoint.said(self._body, data))
        return data

    def given(self, result: Any) -> Any:
        """What the caller gets, from the live answer or from the recorded one; awaitable for an async client."""
        if self.is_answered:
            return self.answer
        try:
            return self._client._process_response(
                cast_to=self._cast_to,
                options=self._options,
                response=self._response(result),
                stream=False,
                stream_cls=None,
            )
        except Exception as error:
            raise ReplayError(f"the recorded answer of {self.plan.name} is none to this client: {error}") from error

    def parsed(self, answer: Any) -> Any:
        return self._parse(answer) if callable(self._parse) and not self._raw else answer

    def _response(self, result: Any) -> Any:
        transport = self._client._client
        headers = {_RAW_RESPONSE: self._raw} if self._raw else {}
        request = transport.build_request("POST", transport.base_url, headers=headers)
        # httpx or its successor: whichever this client speaks.
        response_class = sys.modules[type(request).__module__.partition(".")[0]].Response
        content = json.dumps(result).encode()
        return response_class(200, headers={"content-type": "application/json"}, content=content, request=request)


def recording_request(request: Method, endpoints: Mapping[str, Endpoint]) -> Method:
    """`request`, its calls to these paths as steps."""

    def prepare(client: Any, cast_to: Any, options: Any, stream: bool) -> StainlessCall | None:
        if not is_recording() or stream:
            return None
        with _preparing:
            endpoint = endpoints.get(options.url.partition("?")[0])
            is_json = options.method.lower() == "post" and isinstance(options.json_data, dict) and not options.files
            if endpoint is not None and is_json and _raw_header(options) != _READ_BY_CALLER:
                return StainlessCall(request, endpoint, client, cast_to, options)
        return None

    def recorded(self: Any, cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None) -> Any:
        call = prepare(self, cast_to, options, stream)
        if call is None:
            return request(self, cast_to, options, stream=stream, stream_cls=stream_cls)
        return call.parsed(call.given(call_as_step(call)))

    async def recorded_async(
        self: Any, cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None
    ) -> Any:
        call = prepare(self, cast_to, options, stream)
        if call is None:
            return await request(self, cast_to, options, stream=stream, stream_cls=stream_cls)
        given = call.given(await call_as_step_async(call))
        return call.parsed(await given if inspect.isawaitable(given) else given)

    return recorded_async if inspect.iscoroutinefunction(request) else recorded


def _raw_header(options: Any) -> str:
    headers = options.headers
    return str(headers.get(_RAW_RESPONSE) or "") if isinstance(headers, Mapping) else ""


def _unchanged(answer: Any) -> Any:
    return answer

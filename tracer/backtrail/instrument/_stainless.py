"""Clients made by Stainless, OpenAI's and Anthropic's: every call goes through `request(cast_to, options)`.

    _request → **StainlessCall** → _client_call → request → HTTP

One class for all of it: raw responses, parsed ones, sync, async. In a replay the recorded JSON goes through the
client's own response handling, so that each caller gets what it gets from the service.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backtrail._runs.steps import StepPlan
from backtrail._spans.llm import ModelCall
from backtrail.errors import ReplayError

from ._client_call import ClientCall
from ._patch import Method

_RAW_RESPONSE = "X-Stainless-Raw-Response"
_LEFT_OUT = ("NotGiven", "Omit")  # classes of the values that stand for no value

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path of a service: the plan of its steps, whose it is, and what a question and its answer say."""

    plan: Callable[[str], StepPlan]
    provider: Callable[[Any], str]
    said: Callable[[Body, Body], ModelCall]
    joined: Callable[[Sequence[Body]], Body]


class StainlessCall(ClientCall[Any]):
    """One request of a client."""

    is_stream = False

    def __init__(
        self, request: Method, endpoint: Endpoint, client: Any, cast_to: Any, options: Any, stream_cls: Any = None
    ) -> None:
        super().__init__()
        self._request = request
        self._endpoint = endpoint
        self._client = client
        self._cast_to = cast_to
        self._how = {"stream": self.is_stream, "stream_cls": stream_cls}
        self._parse = options.post_parser
        self._raw = raw_header(options)
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
        return self._request(self._client, self._cast_to, self._options, **self._how)

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
                cast_to=self._cast_to, options=self._options, response=self._response(result), **self._how
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
        content_type, content = self._content(result)
        return response_class(200, headers={"content-type": content_type}, content=content, request=request)

    def _content(self, result: Any) -> tuple[str, Any]:
        return "application/json", json.dumps(result).encode()


def raw_header(options: Any) -> str:
    headers = options.headers
    return str(headers.get(_RAW_RESPONSE) or "") if isinstance(headers, Mapping) else ""


def _unchanged(answer: Any) -> Any:
    return answer

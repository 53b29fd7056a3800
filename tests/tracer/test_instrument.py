"""What instrumenting a client does to it where nobody records, and what it takes to have it at all."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI, RateLimitError

import backtrail
from backtrail import semconv
from backtrail.testing import capture_spans
from tests.providers import Provider, running_provider

HELLO: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture
def client(provider: Provider) -> Iterator[OpenAI]:
    backtrail.instrument_openai()
    with OpenAI(base_url=f"{provider.url}/v1", api_key="sk-secret", max_retries=0) as client:
        yield client
    backtrail.uninstrument_openai()


def test_a_call_says_what_it_asked_what_it_got_and_what_that_used(client: OpenAI) -> None:
    with capture_spans() as spans:

        @backtrail.run
        def handle() -> None:
            client.chat.completions.create(model="gpt-4o-mini", messages=HELLO, temperature=0.5)

        handle()

    attributes = dict(spans.named("chat gpt-4o-mini").attributes or {})
    said = {name: value for name, value in attributes.items() if name.startswith("gen_ai.") and "agent" not in name}
    assert said == {
        semconv.GEN_AI_OPERATION_NAME: "chat",
        semconv.GEN_AI_PROVIDER_NAME: "openai",
        semconv.GEN_AI_REQUEST_MODEL: "gpt-4o-mini",
        semconv.GEN_AI_RESPONSE_MODEL: "gpt-4o-mini-2026",
        semconv.GEN_AI_RESPONSE_ID: f"chatcmpl-{1:029}",
        semconv.GEN_AI_RESPONSE_FINISH_REASONS: ["stop"],
        semconv.GEN_AI_USAGE_INPUT_TOKENS: 100,
        semconv.GEN_AI_USAGE_OUTPUT_TOKENS: 20,
        semconv.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: 60,
        semconv.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: 5,
        semconv.GEN_AI_INPUT_MESSAGES: '[{"role":"user","content":"hello"}]',
        semconv.GEN_AI_OUTPUT_MESSAGES: '[{"content":"You said: hello","role":"assistant"}]',
    }
    assert attributes[semconv.STEP_KIND] == "llm"
    inputs = {"endpoint": "/chat/completions", "model": "gpt-4o-mini", "messages": HELLO, "temperature": 0.5}
    assert json.loads(str(attributes[semconv.STEP_INPUT])) == inputs
    assert "sk-secret" not in str([span.attributes for span in spans])


def test_a_call_that_fails_names_its_model_and_raises_what_it_raised(client: OpenAI, provider: Provider) -> None:
    provider.refusals = [429]
    with capture_spans() as spans:

        @backtrail.run
        def handle() -> None:
            client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)

        with pytest.raises(RateLimitError):
            handle()

    attributes = spans.named("chat gpt-4o-mini").attributes or {}
    assert (attributes[semconv.GEN_AI_REQUEST_MODEL], attributes[semconv.ERROR_TYPE]) == (
        "gpt-4o-mini",
        "openai.RateLimitError",
    )


def test_outside_a_run_a_client_does_what_it_did(client: OpenAI) -> None:
    with capture_spans() as spans:
        answer = client.chat.completions.create(model="m", messages=HELLO)

    assert (answer.choices[0].message.content, spans.of_kind("step")) == ("You said: hello", [])


def test_what_the_caller_reads_itself_is_left_alone(client: OpenAI) -> None:
    with capture_spans() as spans:

        @backtrail.run
        def handle() -> str:
            with client.chat.completions.with_streaming_response.create(model="m", messages=HELLO) as response:
                return response.read().decode()

        assert "You said: hello" in handle()

    assert spans.of_kind("step") == []


def test_an_answer_that_cannot_be_recorded_still_reaches_the_caller(
    client: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no such field")

    monkeypatch.setattr("openai.types.chat.ChatCompletion.to_dict", broken)
    with capture_spans(strict=False) as spans:

        @backtrail.run
        def handle() -> str | None:
            return client.chat.completions.create(model="m", messages=HELLO).choices[0].message.content

        assert handle() == "You said: hello"

    assert (spans.named("chat m").attributes or {})[semconv.STEP_STATUS] == "completed"


def test_a_stream_of_a_kind_we_do_not_know_still_reaches_the_caller(
    client: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backtrail.instrument._stainless_stream._Pieces", None)
    with capture_spans(strict=False):

        @backtrail.run
        def handle() -> int:
            return len(list(client.chat.completions.create(model="m", messages=HELLO, stream=True)))

        assert handle() == 5


def test_instrumenting_twice_records_once_and_uninstrumenting_restores_the_client() -> None:
    backtrail.uninstrument_openai()
    original = OpenAI.request

    backtrail.instrument_openai()
    backtrail.instrument_openai()
    assert OpenAI.request is not original
    backtrail.uninstrument_openai()

    assert OpenAI.request is original


def test_what_another_uninstrumenting_took_away_is_put_back(provider: Provider) -> None:
    before = OpenAI.request
    backtrail.instrument_openai()
    OpenAI.request = before  # type: ignore[method-assign]
    backtrail.instrument_openai()

    with OpenAI(base_url=f"{provider.url}/v1", api_key="sk-secret", max_retries=0) as client, capture_spans() as spans:

        @backtrail.run
        def handle() -> None:
            client.chat.completions.create(model="m", messages=HELLO)

        handle()

    backtrail.uninstrument_openai()
    assert [step.name for step in spans.of_kind("step")] == ["chat m"]
    assert OpenAI.request is before


MISSING = """
import sys, backtrail
from backtrail.errors import MissingPackageError
for package in ("openai", "anthropic", "mcp"):
    sys.modules[package] = None
    try:
        getattr(backtrail, f"instrument_{package}")()
    except MissingPackageError as error:
        print(error)
"""


def test_a_package_that_is_missing_is_named_with_what_installs_it() -> None:
    said = subprocess.check_output([sys.executable, "-c", MISSING], text=True).splitlines()

    assert said == [
        f"instrument_{package}() needs a package: pip install 'backtrail[{package}]'"
        for package in ("openai", "anthropic", "mcp")
    ]


def test_importing_backtrail_imports_no_client() -> None:
    program = "import sys, backtrail; print([name for name in ('openai', 'anthropic', 'mcp') if name in sys.modules])"

    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"

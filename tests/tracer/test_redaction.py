"""What is confidential does not leave the process, in no attribute of no span; and calls stay told apart."""

import json
import logging
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan

import backtrail
from backtrail import RunContext, StepContext, semconv
from backtrail._payloads.codec import encode
from backtrail._payloads.content import json_text
from backtrail._payloads.redacted_spans import redacted_span
from backtrail._payloads.redaction import DEFAULT_REDACTION, Redaction, redaction_of
from backtrail._payloads.secrets import RULES
from backtrail.testing import capture_spans

SECRETS = {
    "sk-proj-4fTq0123456789abcdefghijklmnop": "[api key]",
    "sk-ant-api03-Zx81-abcdefghijklmnopqrstuv": "[api key]",
    "AKIAIOSFODNN7EXAMPLE": "[api key]",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345": "[api key]",
    "github_pat_11ABCDEFG0123456789_abcdefghij": "[api key]",
    "xoxb-123456789012-abcdefABCDEF": "[api key]",
    "AIzaSyA0123456789abcdefghijklmnopqrstuv": "[api key]",
    "glpat-abcDEF0123456789_-xyz": "[api key]",
    "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH": "[api key]",
    "sk_live_0123456789abcdefABCDEF": "[api key]",
    f"bt_{'0123456789abcdef' * 4}": "[api key]",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N": "[jwt]",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nAQAB\n-----END RSA PRIVATE KEY-----": "[private key]",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk": "[private key]",
    "ada.lovelace+math@example.co.uk": "[e-mail ",
    "jürgen@münchen.example": "[e-mail ",
    "4111 1111 1111 1111": "[card ",
    "5500005555555559": "[card ",
    "3782-822463-10005": "[card ",
}
HARMLESS = [
    "task-20251120-researcher-0123456789",
    "sk-learn-compatible-estimator-of-trees",
    "1763625600000000000",
    "1763625600000",
    "4111111111111112",
    "0.4111111111111111",
    "0af7651916cd43dd8448eb211c80319c",
    "git@github.com:example/agent.git",
    "logo@2x.png",
    "@backtrail.step",
    "bearer of good news",
    "a token, a password and a secret",
    "2026-01-02 03:04:05 +0000",
]


@pytest.mark.parametrize(("secret", "marker"), SECRETS.items())
def test_each_default_pattern_is_found_and_nothing_of_it_stays(secret: str, marker: str) -> None:
    text = DEFAULT_REDACTION.text(f"before {secret} after")

    assert text.startswith(f"before {marker}")
    assert secret not in text


def test_what_follows_a_bearer_stays_secret_and_the_word_stays() -> None:
    assert DEFAULT_REDACTION.text("Authorization: Bearer abc123.DEF-456") == "Authorization: Bearer [token]"
    assert DEFAULT_REDACTION.text("authorization: basic dXNlcjpwYXNz") == "authorization: basic [token]"


@pytest.mark.parametrize("text", HARMLESS)
def test_ids_times_and_ordinary_words_are_left_alone(text: str) -> None:
    assert DEFAULT_REDACTION.text(text) == text


@given(st.sampled_from(list(SECRETS)), st.text(max_size=4), st.text(max_size=4), st.booleans())
def test_the_search_through_a_payload_misses_nothing_that_a_pattern_finds(
    secret: str, before: str, after: str, within: bool
) -> None:
    text = before + secret + after
    found = any(rule.pattern.search(text) for rule in RULES.values())

    payload = json_text(encode({"deep": [{"words": text}]} if within else text).json)

    assert DEFAULT_REDACTION.is_suspect(payload) or not found


def test_two_customers_are_told_apart_and_two_keys_are_not() -> None:
    text = DEFAULT_REDACTION.text

    assert text("ada@example.com") == text("ADA@example.com") != text("bob@example.com")
    assert text("sk-0123456789abcdef0123") == text("sk-fedcba98765432100000")
    assert Redaction(key=b"one").text("ada@example.com") != Redaction(key=b"two").text("ada@example.com")


@dataclass
class Account:
    name: str
    password: str
    card: int = 0


EVERYTHING = {
    "mail": "ada@example.com",
    "key": "sk-0123456789abcdef0123",
    "password": "hunter2",
    "nested": [{"clientSecret": "hunter2"}, ("ada@example.com",), {"ada@example.com"}],
    "by": {"ada@example.com": 1, 7: "ada@example.com"},
    "bytes": b"ada@example.com",
    "half": "\ud800 ada@example.com",
    "account": Account("Ada", "hunter2", 4111111111111111),
    "headers": [("authorization", "hunter2")],
    "error": ValueError("ada@example.com"),
}
FORBIDDEN = ("ada@example.com", "sk-0123456789abcdef0123", "hunter2", "4111111111111111", "YWRhQGV4YW1wbGUuY29t")


@dataclass
class Customer(RunContext):
    email: str = ""
    user_id: str = ""


class Refused(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.password = "hunter2"
        self.add_note("asked by ada@example.com")


@backtrail.step(key=lambda **inputs: "for ada@example.com")
def fail(words: dict[str, Any]) -> None:
    raise Refused("ada@example.com is not known") from ValueError("ada@example.com sk-0123456789abcdef0123")


@backtrail.step(kind="llm")
def ask(words: dict[str, Any], this: StepContext) -> Any:
    this.record_llm(
        provider="openai",
        system_instructions="You help ada@example.com",
        input_messages=[{"role": "user", "content": "I am ada@example.com, 4111111111111111"}],
        output_messages=[{"role": "assistant", "tool": {"api_key": "hunter2"}}],
    )
    this.set_attribute("app.customer", "ada@example.com")
    this.set_attribute("app.password", "hunter2")
    this.set_attributes({"app.list": ["ada@example.com", "x"], "app.json": '{"secret": "hunter2"}'})
    assert this.span is not None
    this.span.add_event("mail to ada@example.com", {"to": "ada@example.com"})
    return words


@backtrail.agent(metadata=EVERYTHING)
def work(words: dict[str, Any], ctx: Customer) -> Any:
    ctx.set_state("ada@example.com", words)
    ctx.set_state("mails", ["ada@example.com"])
    ctx.set_state("mails", ["ada@example.com", "hello ada@example.com"])
    with ctx.branch("ada@example.com"):
        ask(words)
    ctx.checkpoint_sync("after ada@example.com", {"words": words})
    with pytest.raises(Refused):
        fail(words)
    assert ctx.get_state("ada@example.com")["mail"] == "ada@example.com"
    return words


@backtrail.run
def handle(query: str, words: dict[str, Any]) -> Any:
    work(words)
    raise Refused("ada@example.com")


def everything_in(spans: list[ReadableSpan]) -> str:
    return "\n".join(
        str(
            (
                s.name,
                dict(s.attributes or {}),
                s.status.description,
                [(e.name, dict(e.attributes or {})) for e in s.events],
            )
        )
        for s in spans
    )


def test_nothing_confidential_is_on_any_span_of_a_run() -> None:
    context = Customer(email="ada@example.com", user_id="ada@example.com", metadata=EVERYTHING)
    with capture_spans(strict=False) as spans, pytest.raises(Refused):
        handle("I am ada@example.com", EVERYTHING, context=context)

    sent = everything_in([*spans, *spans.pending])
    assert [word for word in FORBIDDEN if word in sent] == []


def test_a_result_with_something_redacted_cannot_be_replayed_and_the_caller_has_it_whole() -> None:
    @backtrail.step
    def find(name: str) -> str:
        return f"mail to {name}@example.com"

    @backtrail.run
    def main() -> str:
        return find("ada")

    with capture_spans() as spans:
        assert main() == "mail to ada@example.com"

    found = dict(spans.named("find").attributes or {})
    assert json.loads(str(found[semconv.STEP_RESULT])) == {
        "$t": "redacted",
        "v": DEFAULT_REDACTION.text("mail to ada@example.com"),
    }
    assert (found[semconv.STEP_REPLAYABLE], found[semconv.STEP_UNREPLAYABLE_REASON]) == (False, "redacted")


def test_a_call_with_a_rotated_key_hashes_the_same_and_one_for_another_customer_does_not() -> None:
    @backtrail.step
    def call(key: str, mail: str) -> None: ...

    @backtrail.run
    def main() -> None:
        call("sk-0123456789abcdef0123", "ada@example.com")
        call("sk-fedcba98765432100000", "ada@example.com")
        call("sk-fedcba98765432100000", "bob@example.com")

    with capture_spans() as spans:
        main()

    first, rotated, other = ((span.attributes or {})[semconv.STEP_INPUT_HASH] for span in spans.of_kind("step"))
    assert first == rotated != other
    assert all((span.attributes or {})[semconv.STEP_REPLAYABLE] for span in spans.of_kind("step"))


def test_hashes_are_keyed_where_a_key_is_given() -> None:
    @backtrail.step
    def call(pin: str) -> None: ...

    @backtrail.run
    def main() -> None:
        call("1234")

    def recorded(key: bytes | None) -> tuple[Any, ...]:
        with capture_spans(hash_key=key) as spans:
            main()
        step, run = spans.named("call").attributes or {}, spans.named("main").attributes or {}
        names = (semconv.STEP_INPUT_HASH, semconv.STEP_HASH_ALG)
        return (*(step[name] for name in names), run.get(semconv.RUN_HASH_KEY_ID))

    plain, keyed, other = recorded(None), recorded(b"one"), recorded(b"two")
    assert (plain[1], keyed[1]) == ("sorted-json-sha256/1", "sorted-json-hmac-sha256/1")
    assert len({plain[0], keyed[0], other[0]}) == 3
    assert plain[2] is None
    assert keyed[2] != other[2]
    assert recorded(b"one") == keyed


def test_rules_are_chosen_by_name_and_a_function_may_be_added() -> None:
    text = "sk-0123456789abcdef0123 ada@example.com Project X"

    assert redaction_of(False).text(text) == text
    assert redaction_of("api_key").text(text) == "[api key] ada@example.com Project X"
    assert redaction_of(lambda words: words.replace("Project X", "[project]")).text(text).endswith("com [project]")
    both = redaction_of(["api_key", lambda words: words.replace("Project X", "[project]")])
    assert both.text(text) == "[api key] ada@example.com [project]"
    with pytest.raises(ValueError, match="nonsense"):
        redaction_of("nonsense")


def test_the_run_says_which_rules_were_on() -> None:
    @backtrail.run
    def main() -> None: ...

    with capture_spans(redact=["email", str.strip]) as spans:
        main()

    assert (spans.named("main").attributes or {})[semconv.RUN_REDACTION] == "email,builtins:str.strip"


def test_when_a_hook_fails_nothing_of_the_value_leaves_and_one_line_says_so(caplog: pytest.LogCaptureFixture) -> None:
    def hook(words: str) -> str:
        raise RuntimeError("hook is broken")

    @backtrail.step
    def find(name: str) -> str:
        return f"{name} found"

    @backtrail.run
    def main(name: str) -> str:
        return find(name) + find(name)

    with capture_spans(redact=hook, strict=False) as spans, caplog.at_level(logging.ERROR):
        assert main("Ada L.") == "Ada L. foundAda L. found"

    assert "Ada" not in everything_in([*spans, *spans.pending])
    first, second = (dict(span.attributes or {}) for span in spans.of_kind("step"))
    assert json.loads(str(first[semconv.STEP_RESULT]))["v"].startswith("[redaction failed ")
    assert first[semconv.STEP_UNREPLAYABLE_REASON] == "redacted"
    assert first[semconv.STEP_INPUT_HASH] != second[semconv.STEP_INPUT_HASH]
    assert [record.message.split(";")[0] for record in caplog.records] == ["redacting a value failed"]


def test_a_models_tokens_are_words_and_not_secrets() -> None:
    logprobs = {"content": [{"token": "Hello", "logprob": -0.3, "bytes": [72]}], "max_tokens": 5, "nextPageToken": "p2"}

    assert DEFAULT_REDACTION.json(logprobs) is logprobs
    assert DEFAULT_REDACTION.json({"token": "abc"}) == {"token": {"$t": "redacted", "v": "[secret]"}}


def test_whether_a_password_is_there_may_be_seen() -> None:
    fields: dict[str, Any] = {"password": None, "has_password": True, "secret": ""}

    assert DEFAULT_REDACTION.json(fields) == fields


def test_spans_of_other_instrumentation_are_redacted_on_their_way() -> None:
    from opentelemetry.sdk.trace import TracerProvider

    span = (
        TracerProvider()
        .get_tracer("llm")
        .start_span(
            "chat",
            attributes={"gen_ai.input.messages": '[{"content":"I am ada@example.com","password":"hunter2"}]', "n": 1},
        )
    )
    span.add_event("said", {"to": "ada@example.com"})
    span.end()
    assert isinstance(span, ReadableSpan)

    redacted = redacted_span(span, DEFAULT_REDACTION)

    sent = everything_in([redacted])
    assert "ada@" not in sent
    assert "hunter2" not in sent
    assert redacted_span(redacted, DEFAULT_REDACTION) is redacted


@pytest.mark.parametrize(
    "text",
    [
        "eyJ" * 100_000,
        "a" * 300_000 + "@",
        "4 " * 150_000,
        "sk-" * 100_000,
        "a@a." * 75_000,
        "-----BEGIN PRIVATE KEY-----" * 9_000,
    ],
)
def test_no_text_takes_longer_than_its_length_allows(text: str) -> None:
    import time

    start = time.process_time()
    DEFAULT_REDACTION._by_rules(text, 4)
    assert time.process_time() - start < 5

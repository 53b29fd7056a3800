"""How much is recorded: everything, only that and how it happened, or nothing."""

import asyncio
import json
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

import backtrail
from backtrail import RunContext, StepContext, semconv
from backtrail._contexts.current import has_active_run
from backtrail._payloads.redacted_spans import bare_span
from backtrail._spans.recorder import current_recorder
from backtrail.testing import CapturedSpans, capture_spans


class Leak(Exception):
    pass


def told(spans: CapturedSpans) -> str:
    return "".join(
        str((s.name, dict(s.attributes or {}), s.status.description, [dict(e.attributes or {}) for e in s.events]))
        for s in [*spans, *spans.pending]
    )


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def ask(words: str, this: StepContext) -> str:
    this.record_llm(request_model="gpt", input_tokens=3, input_messages=[{"role": "user", "content": words}])
    return words + "!"


def fail(words: str) -> None:
    raise Leak(words) from ValueError(words)


def test_a_step_of_which_only_metadata_is_recorded_says_nothing_of_what_was_said() -> None:
    asked, failed = backtrail.step(capture="metadata")(ask), backtrail.step(capture=False)(fail)

    @backtrail.run
    def main() -> None:
        assert asked("grim tale") == "grim tale!"
        failed("grim tale")

    with capture_spans() as spans, pytest.raises(Leak):
        main()

    assert "grim tale" not in told(spans)
    found = attributes(spans.named("ask"))
    assert (found[semconv.GEN_AI_REQUEST_MODEL], found[semconv.GEN_AI_USAGE_INPUT_TOKENS]) == ("gpt", 3)
    assert (found[semconv.STEP_REPLAYABLE], found[semconv.STEP_UNREPLAYABLE_REASON]) == (False, "not_captured")
    sizes = {name: size for name, (size, _) in json.loads(found[semconv.WITHHELD]).items()}
    assert sizes == {
        semconv.STEP_INPUT: len('{"words":"grim tale"}'),
        semconv.STEP_RESULT: len('"grim tale!"'),
        semconv.GEN_AI_INPUT_MESSAGES: len('[{"role":"user","content":"grim tale"}]'),
    }
    assert len(found[semconv.STEP_INPUT_HASH]) == 64
    assert attributes(spans.named("fail"))[semconv.ERROR_TYPE].endswith("Leak")
    assert json.loads(attributes(spans.named("main"))[semconv.RUN_ERROR])["cause"]["type"] == "ValueError"


def test_the_same_for_everything() -> None:
    @backtrail.agent(metadata={"plan": "grim tale"})
    def work(words: str, ctx: RunContext) -> str:
        ctx.set_state("words", [words])
        ctx.set_state("words", [words, words])
        ctx.checkpoint_sync("here", {"words": words})
        return str(backtrail.step(ask)(ctx.get_state("words")[1]))

    @backtrail.run
    def main(query: str, ctx: RunContext) -> str:
        with pytest.raises(Leak):
            backtrail.step(fail)(query)
        return str(work(query))

    with capture_spans(capture="metadata") as spans:
        context = RunContext(metadata={"words": "grim tale"})
        assert main("grim tale", context=context) == "grim tale!"

    assert "grim tale" not in told(spans)
    deltas = [json.loads(attributes(span)[semconv.STATE_DELTAS]) for span in spans.of_kind("state")]
    assert [op["value"]["$t"] for (delta,) in deltas for op in delta["ops"]] == ["truncated", "truncated"]
    assert {"backtrail.run.input", "backtrail.run.context", "backtrail.run.result"} <= json.loads(
        attributes(spans.named("main"))[semconv.WITHHELD]
    ).keys()


def test_a_step_that_is_not_recorded_is_an_ordinary_function_with_its_contexts() -> None:
    @backtrail.step
    def inner() -> int:
        return 1

    @backtrail.step(capture="none")
    def quiet(words: str, ctx: RunContext, this: StepContext) -> int:
        this.set_attribute("a", 1)
        this.record_llm(input_tokens=1)
        ctx.set_state("seen", words)
        return inner()

    @backtrail.step(capture="none")
    async def quiet_too() -> int:
        return inner()

    @backtrail.run
    async def main(ctx: RunContext) -> int:
        with backtrail.step("block", capture="none") as this:
            this.complete("grim tale")
        return quiet("tale") + await quiet_too()

    with capture_spans() as spans:
        assert asyncio.run(main()) == 2

    assert [span.name for span in spans.of_kind("step")] == ["inner", "inner"]
    assert {span.parent.span_id for span in spans.of_kind("step") if span.parent} == {
        span.context.span_id for span in spans if span.name == "invoke_agent default" and span.context
    }


def test_nothing_at_all_is_recorded_and_contexts_go_on_working() -> None:
    @backtrail.run
    def main(query: str, ctx: RunContext) -> str:
        assert has_active_run()
        ctx.set_state("words", query)
        return str(ctx.get_state("words"))

    backtrail.configure(capture="none")
    try:
        assert main("tale") == "tale"
        assert current_recorder().sink is None
    finally:
        backtrail.shutdown()


def test_other_instrumentation_keeps_its_counts_and_loses_its_words() -> None:
    said = {"llm.input_messages.0.message.content": "grim tale", "gen_ai.completion.0.content": "grim tale"}
    span = TracerProvider().get_tracer("llm").start_span("chat", attributes={**said, "llm.token_count.prompt": 7})
    span.record_exception(Leak("grim tale"))
    span.end()
    assert isinstance(span, ReadableSpan)

    bare = bare_span(span)

    assert attributes(bare) == {"llm.token_count.prompt": 7}
    assert "grim tale" not in str([dict(event.attributes or {}) for event in bare.events])


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(ValueError, match="all, metadata, none"):
        backtrail.step(capture="some")  # type: ignore[call-overload]

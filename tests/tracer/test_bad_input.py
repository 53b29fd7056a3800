"""Whatever a program passes about, its functions return what they would have, and the span says what is missing.

Each value goes through a run, an agent and a step, as an argument and as a result.
"""

import asyncio
import dataclasses
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from pydantic import BaseModel, PrivateAttr

import backtrail
from backtrail import RunContext, semconv
from backtrail.testing import capture_spans


class Array:
    """As numpy does it: comparing gives no truth; and worse."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise ValueError("the truth value is ambiguous")

    __bool__ = __len__ = __iter__ = __eq__

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


class Posing:
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return dict


class Faceless:
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise RuntimeError("no class")


class Closed:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class Nameless(type):
    @property
    def __module__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("no module")

    def __hash__(cls) -> int:
        raise RuntimeError("no hash")


class OfNoName(metaclass=Nameless): ...


class EndlessList(list[int]):
    def __iter__(self) -> Iterator[int]:
        while True:
            yield 1


class EndlessMapping(Mapping[int, int]):
    def __getitem__(self, key: int) -> int:
        return key

    def __iter__(self) -> Iterator[int]:
        number = 0
        while True:
            yield (number := number + 1)

    def __len__(self) -> int:
        return 1


class LyingDict(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("no items")


class LyingInt(int):
    def __int__(self) -> int:
        raise RuntimeError("no int")

    def __lt__(self, other: object) -> bool:
        raise RuntimeError("no order")


class LyingText(str):
    __slots__ = ()

    def isascii(self) -> bool:
        raise RuntimeError("no letters")

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


@dataclasses.dataclass(slots=True)
class Slotted:
    number: int = 1


@dataclasses.dataclass
class Failing:
    good: int = 1
    bad: int = 2

    def __getattribute__(self, name: str) -> Any:
        if name == "bad":
            raise RuntimeError("bad field")
        return object.__getattribute__(self, name)


class Private(BaseModel):
    number: int = 1
    _lock: Any = PrivateAttr(default_factory=threading.Lock)


def circle() -> list[Any]:
    one: list[Any] = []
    one.append({"again": one})
    return one


def nested(depth: int) -> list[Any]:
    one: list[Any] = []
    for _ in range(depth):
        one = [one]
    return one


def opaque(name: str) -> dict[str, str]:
    return {"$t": "opaque", "type": f"{__name__}:{name}"}


VALUES: dict[str, tuple[Callable[[], Any], Any]] = {
    "array": (Array, opaque("Array")),
    "posing": (Posing, opaque("Posing")),
    "faceless": (Faceless, opaque("Faceless")),
    "closed": (Closed, opaque("Closed")),
    "of no name": (OfNoName, {"$t": "opaque", "type": "unknown:unknown"}),
    "endless list": (lambda: EndlessList([1, 2]), [1, 2]),
    "lying dict": (lambda: LyingDict(a=1), {"a": 1}),
    "lying int": (lambda: LyingInt(3), 3),
    "lying text": (lambda: LyingText("x"), "x"),
    "mute error": (lambda: Mute(1), None),
    "mute group": (lambda: ExceptionGroup("g", [Mute(1)]), None),
    "slots": (Slotted, {"$t": "dataclass", "type": f"{__name__}:Slotted", "v": {"number": 1}}),
    "failing field": (
        Failing,
        {"$t": "dataclass", "type": f"{__name__}:Failing", "v": {"good": 1, "bad": {"$t": "opaque", "v": None}}},
    ),
    "private": (Private, {"$t": "model", "type": f"{__name__}:Private", "v": {"number": 1}}),
    "circle": (circle, None),
    "10,000 levels": (lambda: nested(10_000), None),
    "generator": (lambda: (number for number in range(3)), {"$t": "opaque", "type": "builtins:generator"}),
    "huge int": (lambda: 10**6_000, {"$t": "int", "v": hex(10**6_000)}),
    "NUL": (lambda: "a\0b", "a\0b"),
    "half a pair": (lambda: "\ud83d", {"$t": "str", "v": "Pdg="}),
    "undecodable bytes": (lambda: b"\xff\xfe", {"$t": "bytes", "v": "//4="}),
    "odd keys": (lambda: {float("nan"): 1, (1, 2): 2, None: 3}, None),
    "lock": (threading.Lock, None),
    "module": (lambda: json, {"$t": "opaque", "type": "builtins:module"}),
}


@backtrail.step
def step(value: Any, other: int) -> Any:
    return value


@backtrail.agent
def agent(value: Any) -> Any:
    return step(value, 7)


@backtrail.run
def run(value: Any) -> Any:
    return agent(value)


@backtrail.step
async def step_awaited(value: Any, other: int) -> Any:
    return value


@backtrail.run
async def run_awaited(value: Any) -> Any:
    return await backtrail.agent(step_awaited)(value, 7)


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


@pytest.mark.parametrize("name", VALUES)
def test_the_caller_gets_the_value_itself_and_the_span_what_can_be_kept_of_it(name: str) -> None:
    make, kept = VALUES[name]
    value = make()

    with capture_spans(strict=False) as spans:
        assert run(value) is value
        assert asyncio.run(run_awaited(value)) is value

    recorded = attributes(spans.named("step"))
    found = json.loads(recorded[semconv.STEP_INPUT])
    assert found["other"] == 7
    assert kept is None or found["value"] == kept
    assert kept is None or json.loads(recorded[semconv.STEP_RESULT]) == kept
    assert {span.name for span in spans} >= {"run", "invoke_agent agent", "step", "run_awaited", "step_awaited"}


def test_a_generator_is_not_drawn_from() -> None:
    numbers = (number for number in range(3))

    with capture_spans(strict=False):
        assert list(run(numbers)) == [0, 1, 2]


def test_a_mapping_without_end_ends_for_us() -> None:
    with capture_spans(strict=False) as spans:
        backtrail.run(lambda value: None)(EndlessMapping())

    assert len(spans.of_kind("run")) == 1


def test_what_cannot_be_kept_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    class NeverSeenBefore: ...

    with capture_spans(strict=False), caplog.at_level(logging.WARNING):
        for _ in range(5):
            run(NeverSeenBefore())

    assert len(caplog.records) == 1
    assert "NeverSeenBefore cannot be kept in a recording (opaque)" in caplog.records[0].message


def test_a_dict_that_another_thread_changes_is_recorded_or_opaque_and_never_an_error() -> None:
    shared: dict[str, int] = {str(number): number for number in range(500)}
    is_done = threading.Event()

    def change() -> None:
        number = 500
        while not is_done.is_set():
            shared[str(number)] = number
            shared.pop(str(number - 400), None)
            number += 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        with capture_spans(strict=False) as spans:
            for _ in range(30):
                assert run(shared) is shared
    finally:
        is_done.set()
        thread.join()
    assert len(spans.of_kind("step")) == 30


class Broken(RunContext):
    @property
    def metadata(self) -> Any:
        raise RuntimeError("broken property")

    @metadata.setter
    def metadata(self, value: Any) -> None: ...

    @property
    def user_id(self) -> str:
        raise RuntimeError("broken property")


def test_a_context_with_a_failing_property_is_a_context() -> None:
    @backtrail.run
    def main(ctx: RunContext) -> str:
        ctx.set_state("a", 1)
        return ctx.query

    with capture_spans(strict=False) as spans:
        assert main(context=Broken(query="hello")) == "hello"

    assert attributes(spans.named("main"))[semconv.QUERY] == "hello"


@pytest.mark.parametrize("size", [100_000_000])
@pytest.mark.parametrize("make", [lambda size: "a" * size, lambda size: b"a" * size])
def test_a_hundred_megabytes_leave_their_length_and_hash(make: Callable[[int], Any], size: int) -> None:
    value = make(size)
    start = time.process_time()

    with capture_spans(strict=False) as spans:
        assert run(value) is value

    assert time.process_time() - start < 20
    stub = json.loads(attributes(spans.named("step"))[semconv.STEP_INPUT])["value"]
    assert (stub["$t"], stub["v"]["bytes"]) == ("truncated", size)
    recorded = attributes(spans.named("step"))
    assert (recorded[semconv.STEP_REPLAYABLE], recorded[semconv.STEP_UNREPLAYABLE_REASON]) == (False, "too_large")
    assert all(len(str(value)) < 5_000_000 for span in spans for value in attributes(span).values())


def test_long_words_of_every_kind_are_bounded() -> None:
    words = "w" * 10_000_000

    @backtrail.step
    def speak() -> None:
        this = backtrail.get_current_step_context()
        this.set_attribute("app.words", words)
        this.record_llm(input_messages=[{"content": words}], provider="p")
        raise ValueError(words)

    @backtrail.run
    def main(query: str, ctx: RunContext) -> None:
        ctx.set_state("words", words)
        ctx.checkpoint_sync("here", {"words": words})
        with pytest.raises(ValueError, match="www"):
            speak()

    with capture_spans(strict=False) as spans:
        main(words, context=RunContext(metadata={"words": words}))

    texts = [str(value) for span in [*spans, *spans.pending] for value in attributes(span).values()]
    texts += [str(value) for span in spans for event in span.events for value in (event.attributes or {}).values()]
    texts += [span.status.description or "" for span in spans]
    assert max(map(len, texts)) < 5_000_000


def recursive(depth: int) -> int:
    return backtrail.step(recursive)(depth - 1) if depth else 0


def test_a_recursion_without_end_is_the_programs_own_error() -> None:
    @backtrail.run
    def main() -> int:
        return recursive(10_000)

    with capture_spans(strict=False) as spans, pytest.raises(RecursionError):
        main()

    assert attributes(spans.named("main"))[semconv.ERROR_TYPE] == "RecursionError"


def test_an_error_that_cannot_speak_passes_as_it_is_and_is_on_the_span() -> None:
    error = Mute("x")

    @backtrail.step
    def fail() -> None:
        raise error

    @backtrail.run
    def main() -> None:
        fail()

    with capture_spans(strict=False) as spans, pytest.raises(Mute) as caught:
        main()

    assert caught.value is error
    told = json.loads(attributes(spans.named("fail"))[semconv.STEP_ERROR])
    assert told["message"] == "<Mute whose message cannot be read>"


def test_nothing_is_needed_before_configure_and_configuring_twice_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert run("before") == "before"

    first = backtrail.configure("http://127.0.0.1:9", service_name="twice", redact=["email"], hash_key="k")
    try:
        assert backtrail.configure("http://127.0.0.1:9", service_name="twice", redact=["email"], hash_key="k") is first
        assert run("between") == "between"
    finally:
        backtrail.shutdown()
    assert run("after") == "after"


@dataclasses.dataclass
class Node:
    """Knows others, and is known by them, as the routes of an application and what they depend on are."""

    one: Any = None
    other: Any = None


def shared_all_the_way_down() -> Any:
    node: Any = Node(1, 2)
    for _ in range(40):
        node = Node(node, node)
    return node


def knows_itself_twice() -> Any:
    node: Any = Node()
    node.one = node.other = node
    return node


def holds_itself_twice() -> Any:
    held: dict[str, Any] = {}
    held["one"] = held["other"] = held
    return held


class WebRequest(Mapping[str, Any]):
    """Can be read as a mapping, and holds the whole application, as Starlette's does."""

    scope: ClassVar[dict[str, Any]] = {"method": "GET", "routes": [knows_itself_twice()], "app": object()}

    def __getitem__(self, key: str) -> Any:
        return self.scope[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.scope)

    def __len__(self) -> int:
        return len(self.scope)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "make",
    [shared_all_the_way_down, knows_itself_twice, holds_itself_twice, WebRequest],
    ids=lambda make: make.__name__,
)
def test_objects_that_lead_to_each_other_in_many_ways_are_cut_off(make: Callable[[], Any]) -> None:
    value = make()

    @backtrail.run
    def main(given: Any) -> int:
        return len(repr(type(given)))

    with capture_spans(strict=False) as spans:
        assert main(value) > 0

    assert len(str((spans.of_kind("run")[0].attributes or {})[semconv.RUN_INPUT])) < 5 << 20


def test_a_mapping_that_holds_a_service_is_one() -> None:
    @backtrail.run
    def main(request: WebRequest) -> None: ...

    with capture_spans(strict=False) as spans:
        main(WebRequest())

    given = json.loads(str((spans.named("main").attributes or {})[semconv.RUN_INPUT]))
    assert given == {"request": {"$t": "opaque", "type": f"{__name__}:WebRequest"}}

"""A run goes on where its headers are taken: same trace, same lineage, and nothing a stranger sends can do more."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import backtrail
from backtrail import semconv
from backtrail._processes.baggage import MAX_BYTES, MAX_MEMBERS
from backtrail.middleware import RunMiddleware
from backtrail.testing import CapturedSpans, capture_spans


def said(span: ReadableSpan, name: str) -> Any:
    return (span.attributes or {}).get(name)


@backtrail.step
def look_up(order_id: str) -> str:
    return order_id


@backtrail.agent
def research(question: str) -> str:
    return look_up(question)


@backtrail.run
def serve(question: str) -> str:
    return look_up(question)


@backtrail.agent
def ask(times: int = 1) -> list[dict[str, str]]:
    return [backtrail.inject({}) for _ in range(times)]


@backtrail.run
def handle(query: str, times: int = 1) -> list[dict[str, str]]:
    return ask(times)


def headers_of(query: str = "Where is it?") -> dict[str, str]:
    return handle(query)[0]


def test_outside_a_run_nothing_is_written() -> None:
    assert backtrail.inject({"accept": "text/html"}) == {"accept": "text/html"}


def test_an_agent_that_joins_is_a_delegation_of_the_agent_that_called(spans: CapturedSpans) -> None:
    headers = headers_of(" Wo ist es?\n ü")

    with backtrail.extract(headers) as ctx:
        assert ctx is not None
        assert (ctx.query, ctx.run.run_id, ctx.run.name) == (" Wo ist es?\n ü", f"{1:032x}", "handle")
        research("a-1")

    asking, run = spans.named("invoke_agent ask"), spans.named("handle")
    joined, step = spans.named("invoke_agent research"), spans.named("look_up")
    assert joined.parent is not None
    assert (joined.context.trace_id, joined.parent.span_id) == (run.context.trace_id, asking.context.span_id)
    assert said(joined, semconv.QUERY) == said(step, semconv.QUERY) == " Wo ist es?\n ü"
    assert said(joined, semconv.TASK_PARENT_ID) == said(asking, semconv.TASK_ID)
    assert said(joined, semconv.TASK_CHAIN) == (said(asking, semconv.TASK_ID),)
    assert (said(joined, semconv.DEPTH), said(step, semconv.DEPTH)) == (1, 1)
    assert said(joined, semconv.AGENT_PARENT_KEY) == said(asking, semconv.AGENT_KEY)
    assert json.loads(said(joined, semconv.AGENT_PATH)) == [["ask", 0], ["research", 0]]
    assert len(spans.of_kind("run")) == 1
    assert said(joined, semconv.SDK_VERSION) is None


def test_a_joined_process_counts_its_own_spans_and_goes_on_from_the_callers_clock(spans: CapturedSpans) -> None:
    headers = headers_of()
    before = len(spans)

    for _ in range(2):
        with backtrail.extract(headers):
            research("a-1")

    first, second = spans[before : before + 2], spans[before + 2 :]
    for own in (first, second):
        assert [said(span, semconv.NUMBER) for span in own] == [1, 2]
        assert said(own[1], semconv.AGENT_NUMBER_MAX) == 2
        assert len({said(span, semconv.PROCESS) for span in own}) == 1
    assert len({said(span, semconv.PROCESS) for span in spans}) == 3
    caller_seq = int(unquote_plus(headers["baggage"]).split("caller.seq=")[1].split(",")[0])
    assert said(first[1], semconv.AGENT_SEQ_START) == caller_seq + 1
    assert spans.of_kind("checkpoint") == [span for span in spans[:before] if "checkpoint" in span.name]


def test_two_calls_from_one_place_have_scopes_of_their_own(spans: CapturedSpans) -> None:
    for headers in handle("q", 2):
        with backtrail.extract(headers):
            research("same")

    steps, agents = spans.of_kind("step"), [span for span in spans if span.name == "invoke_agent research"]
    assert len({said(step, semconv.STEP_KEY) for step in steps}) == 2
    assert len({said(agent, semconv.AGENT_KEY) for agent in agents}) == 2
    assert [json.loads(said(step, semconv.STEP_SCOPE))[0][0::2] for step in steps] == [["remote", 0], ["remote", 1]]


def test_what_a_step_called_for_elsewhere_is_nested_in_it(spans: CapturedSpans) -> None:
    @backtrail.step
    def fetch() -> dict[str, str]:
        return backtrail.inject({})

    @backtrail.run
    def program() -> dict[str, str]:
        return fetch()

    with backtrail.extract(program()):
        look_up("a-1")

    inner, outer = spans.named("look_up"), spans.named("fetch")
    assert json.loads(said(inner, semconv.STEP_SCOPE))[0] == ["step", said(outer, semconv.STEP_KEY)]
    assert inner.parent is not None
    assert outer.context.span_id in (inner.parent.span_id, spans[-1].parent and spans[-1].parent.span_id)


def test_a_run_function_that_is_called_for_is_an_agent_of_the_callers_run(spans: CapturedSpans) -> None:
    with backtrail.extract(headers_of()):
        serve("a-1")

    assert said(spans.named("invoke_agent serve"), semconv.AGENT_INPUT) == '{"question":"a-1"}'
    assert [span.name for span in spans.of_kind("run")] == ["handle"]


async def test_it_joins_as_a_coroutine_and_as_a_block_too(spans: CapturedSpans) -> None:
    @backtrail.run
    async def serve_later(question: str, ctx: backtrail.RunContext) -> str:
        with backtrail.run("within"):
            return f"{ctx.query}: {look_up(question)}"

    async with backtrail.extract(headers_of("q")):
        assert await serve_later("a-1") == "q: a-1"
        with backtrail.run("nightly", state={"tries": 1}) as ctx:
            assert ctx.get_state("tries") == 1

    names = [span.name for span in spans]
    assert "invoke_agent serve_later" in names
    assert "invoke_agent nightly" in names
    assert [span.name for span in spans.of_kind("run")] == ["handle", "within"], "a run in a joined agent stays a run"


def test_a_run_that_does_not_join_is_linked_to_its_caller(spans: CapturedSpans) -> None:
    @backtrail.run(joins=False)
    def audit() -> None: ...

    headers = headers_of()
    with backtrail.extract(headers):
        audit()

    span = spans.named("audit")
    assert span.context.trace_id != spans.named("handle").context.trace_id
    assert [f"{link.context.trace_id:032x}" for link in span.links] == [headers["traceparent"].split("-")[1]]


def test_state_written_by_a_joined_process_is_in_scopes_of_its_own(spans: CapturedSpans) -> None:
    @backtrail.agent
    def remember(me: backtrail.AgentContext, ctx: backtrail.RunContext) -> tuple[Any, Any]:
        ctx.set_state("notes", [1])
        ctx.set_state("notes", [1, 2])
        me.set_state("mood", "good")
        return ctx.get_state("notes"), me.get_state("mood")

    with backtrail.extract(headers_of()):
        assert remember() == ([1, 2], "good")

    agent = spans.named("invoke_agent remember")
    process, key = said(agent, semconv.PROCESS), said(agent, semconv.AGENT_KEY)
    deltas = [delta for span in spans.of_kind("state") for delta in json.loads(said(span, semconv.STATE_DELTAS))]
    assert [delta["scope"] for delta in deltas] == [f"run@{process}", f"run@{process}", f"{key}@{process}"]
    assert [delta["ops"][0]["op"] for delta in deltas] == ["set", "append", "set"]
    assert deltas[0]["ops"][0]["prev"] is None


def test_an_error_in_a_joined_block_is_the_users_and_ends_what_is_open(spans: CapturedSpans) -> None:
    headers = headers_of()
    before = len(spans)

    def joined_block() -> None:
        with backtrail.extract(headers) as ctx:
            assert ctx is not None
            ctx.start_agent("left open").start()
            raise LookupError("no such order")

    with pytest.raises(LookupError):
        joined_block()

    assert [said(span, semconv.AGENT_STATUS) for span in spans[before:]] == ["failed"]
    assert not backtrail.has_active_run()


def test_baggage_of_others_stays_in_the_headers_and_goes_on(spans: CapturedSpans) -> None:
    @backtrail.run
    def program(headers: MutableMapping[str, str]) -> MutableMapping[str, str]:
        return backtrail.inject(headers)

    token = context.attach(baggage.set_baggage("tenant", "blue shop"))
    try:
        sent = program({"Baggage": "region=eu;priority=1", "Traceparent": "old", "accept": "*/*"})
    finally:
        context.detach(token)

    assert sorted(sent) == ["accept", "baggage", "traceparent"]
    assert sent["baggage"].startswith("region=eu;priority=1,tenant=blue+shop,backtrail.")
    with backtrail.extract(sent):
        seen = baggage.get_all()
        assert seen["tenant"] == "blue shop"
        assert not [name for name in seen if name.startswith("backtrail.")]
        again: dict[str, str] = backtrail.inject({})
    assert "tenant=blue+shop" in again["baggage"]
    assert again["baggage"].count("backtrail.caller.seq=") == 1


def test_headers_stay_within_w3cs_limits_and_say_what_was_cut(spans: CapturedSpans) -> None:
    @backtrail.run
    def program(query: str, beside: str) -> dict[str, str]:
        with backtrail.agent("a" * 3_000):
            return backtrail.inject({"baggage": beside})

    query, beside = "Größe 尺寸 " * 2_000, ",".join(f"k{n}=v" for n in range(40))
    sent = program(query, beside)["baggage"]

    assert len(sent) <= MAX_BYTES
    assert len(sent.split(",")) <= MAX_MEMBERS
    assert sent.startswith(beside)
    with backtrail.extract({"traceparent": headers_of()["traceparent"], "baggage": sent}) as ctx:
        assert ctx is not None
        assert len(ctx.query) > 100
        assert query.startswith(ctx.query)
        look_up("a-1")
    assert said(spans.named("look_up"), semconv.LINEAGE_CUT) is True


@pytest.mark.parametrize("beside", [",".join(f"k{n}=v" for n in range(60)), "k=" + "v" * 8_100])
def test_where_others_leave_no_room_the_trace_alone_goes_on(beside: str, spans: CapturedSpans) -> None:
    @backtrail.run
    def program() -> dict[str, str]:
        return backtrail.inject({"baggage": beside})

    sent = program()

    assert sent["baggage"] == beside
    assert not backtrail.extract(sent).joins


@given(query=st.text(), run_name=st.text(max_size=20), user_id=st.text(max_size=20))
def test_every_query_arrives_or_is_cut_with_a_flag(query: str, run_name: str, user_id: str) -> None:
    with capture_spans(), backtrail.run(run_name, query=query):
        headers: dict[str, str] = backtrail.inject({})

    with capture_spans(), backtrail.extract(headers) as ctx:
        assert ctx is not None
        assert ctx.query == query.encode("utf-8", "replace").decode()


def test_secrets_in_the_query_do_not_go_into_headers(spans: CapturedSpans) -> None:
    headers = headers_of("use sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD to ask")

    assert "abcdefghij" not in unquote_plus(headers["baggage"])


WHOLE = {"traceparent": f"00-{7:032x}-{8:016x}-01"}
HOSTILE: list[Any] = [
    {},
    WHOLE,
    {"traceparent": "garbage"},
    {"traceparent": "00-" + "0" * 32 + "-" + "0" * 16 + "-01"},
    {**WHOLE, "baggage": "x" * 1_000_000},
    {**WHOLE, "baggage": "backtrail.query=" + "%" * 8_000},
    {**WHOLE, "baggage": ",".join(["backtrail.caller.seq=1"] * 300)},
    {**WHOLE, "baggage": "backtrail.caller.seq=-1,backtrail.caller.scope=[],backtrail.run.lineage_id=x"},
    {**WHOLE, "baggage": "backtrail.caller.seq=9999999999999999999999,backtrail.run.lineage_id=x"},
    {**WHOLE, "baggage": 'backtrail.caller.scope=[["remote","' + "0" * 64 + '",0]],backtrail.run.lineage_id=x'},
    {**WHOLE, "baggage": "backtrail.caller.scope=" + "[" * 4_000 + ",backtrail.caller.seq=1"},
    {**WHOLE, "baggage": "=,;=;,\x00,\ud800=\ud800,ü=ü"},
    [(b"traceparent", b"\xff\xfe"), (b"baggage", b"\xff"), (b"baggage", b"backtrail.caller.seq=\xff")],
    [("traceparent", None), (3, 4)],
]


@pytest.mark.parametrize("headers", HOSTILE, ids=range(len(HOSTILE)))
def test_headers_of_strangers_join_nothing_and_break_nothing(
    headers: Any, spans: CapturedSpans, caplog: pytest.LogCaptureFixture
) -> None:
    with backtrail.extract(headers) as ctx:
        assert ctx is None
        assert serve("a-1") == "a-1"

    run = spans.named("serve")
    assert [link.context.trace_id for link in run.links] in ([], [7])
    assert run.parent is None
    assert caplog.records == []


def test_damaged_parts_of_a_callers_baggage_are_left_out_and_the_rest_joins(spans: CapturedSpans) -> None:
    headers = headers_of()
    members = [member for member in headers["baggage"].split(",") if "query" not in member and "path" not in member]
    damaged = [
        *members,
        "backtrail.query=%5B1%5D",
        "backtrail.agent.path=%7B%7D",
        "backtrail.task.chain=%5B1%2C%22a%22%5D",
    ]

    with backtrail.extract({**headers, "baggage": ",".join(damaged)}) as ctx:
        assert ctx is not None
        assert ctx.query == ""
        look_up("a-1")

    step = spans.named("look_up")
    assert said(step, semconv.TASK_CHAIN) == ("a",)
    assert json.loads(said(step, semconv.AGENT_PATH)) == [["default", 0]]
    assert said(spans[-1], semconv.AGENT_NUMBER_MAX) == 2


async def test_joins_side_by_side_do_not_meet(spans: CapturedSpans) -> None:
    incoming = [backtrail.extract(headers_of(f"query {n}")) for n in range(10)]

    async def request(n: int) -> str:
        async with incoming[n % 10] as ctx:
            await asyncio.sleep(0.001 * (n % 7))
            research(str(n))
            assert ctx is not None
            return ctx.query

    queries = await asyncio.gather(*(request(n) for n in range(100)))

    assert queries == [f"query {n % 10}" for n in range(100)]
    for step in spans.of_kind("step"):
        assert said(step, semconv.QUERY) == f"query {int(json.loads(said(step, semconv.STEP_RESULT))) % 10}"


async def call(app: Any, headers: dict[str, str], kind: str = "http") -> list[Any]:
    sent: list[Any] = []
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def receive() -> Any:
        raise AssertionError("nothing is read")

    async def send(message: Any) -> None:
        sent.append((message, backtrail.has_active_run()))

    await app({"type": kind, "headers": raw, "client": ("10.0.0.1", 1)}, receive, send)
    return sent


async def streaming(scope: Any, receive: Any, send: Any) -> None:
    for part in range(3):
        await asyncio.sleep(0)
        await send(look_up(str(part)))


async def test_the_middleware_joins_until_the_last_part_of_the_answer(spans: CapturedSpans) -> None:
    app = RunMiddleware(streaming)
    headers = headers_of()

    for kind in ("http", "websocket"):
        assert await call(app, headers, kind) == [("0", True), ("1", True), ("2", True)]
    assert await call(app, {}) == [("0", False), ("1", False), ("2", False)]

    assert not backtrail.has_active_run()
    assert {step.context.trace_id for step in spans.of_kind("step")} == {spans.named("handle").context.trace_id}


async def test_the_middleware_joins_only_for_those_it_is_told_to_trust(spans: CapturedSpans) -> None:
    headers = headers_of()

    def broken(scope: Any) -> bool:
        raise LookupError

    assert await call(RunMiddleware(streaming, trust=lambda scope: scope["client"][0] == "10.0.0.1"), headers) == [
        ("0", True),
        ("1", True),
        ("2", True),
    ]
    assert not (await call(RunMiddleware(streaming, trust=lambda scope: False), headers))[0][1]
    with capture_spans(strict=False):
        assert not (await call(RunMiddleware(streaming, trust=broken), headers))[0][1]


async def test_the_middleware_leaves_other_scopes_alone() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    await RunMiddleware(app)({"type": "lifespan"}, None, None)  # type: ignore[arg-type]

    assert seen == ["lifespan"]


def test_a_servers_own_span_stands_between_the_caller_and_the_agent(spans: CapturedSpans) -> None:
    headers = headers_of()
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("server")
    with tracer.start_as_current_span("POST /ask", context=TraceContextTextMapPropagator().extract(headers)) as server:
        with backtrail.extract(headers):
            research("a-1")
        assert isinstance(server, ReadableSpan)
        assert said(server, semconv.TASK_ID) == f"{1:032x}"

    joined = spans.named("invoke_agent research")
    assert joined.parent is not None
    assert joined.parent.span_id == server.get_span_context().span_id

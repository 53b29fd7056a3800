"""A support desk of three agents, traced and replayable. Start reading at `handle`, at the end.

    handle                          run: one customer's message
    └─ triage                       agent: what is wanted?
       ├─ classify                  step: asks the model
       └─ refunds                   agent, delegated to: decides, pays, writes
          ├─ researcher             agent, delegated to: finds the facts
          │  ├─ fetch_order         tool
          │  └─ read_source ×3      in parallel, each asks the model
          ├─ decide                 asks the model
          ├─ pay_refund             tool, with a side effect
          └─ write_reply            asks the model

The model and the refund service are reached over HTTP; `stub_openai.py` offers both. Nothing here knows about
replay: the same functions are called again, and the steps that finished answer from their record.
"""

import asyncio
import os
import sys
from dataclasses import dataclass

import httpx

import backtrail
from backtrail import RunContext, StepContext, StepKind, agent, get_current_step_context, run, step

MODEL = "gpt-4o-mini"
SOURCES = {
    "returns.md": "An item damaged on arrival is refunded in full. The customer keeps it.",
    "shipping.md": "Glass travels in two boxes. What breaks on the way is on us.",
    "lamp-care.md": "Dust the shade with a dry cloth. Do not use bulbs above 40 W.",
}
http = httpx.AsyncClient(timeout=10)


@dataclass
class Desk(RunContext):
    """What a run knows from its start; agents and steps get it by naming the type."""

    user_id: str = ""


@dataclass
class Order:
    order_id: str
    customer: str
    item: str
    euros: float


class RefundsAreDown(Exception):
    """The refund service does not answer. The customer must not hear anything yet."""


async def chat(task: str, text: str) -> str:
    """Ask the model, and note on the current step what that used."""
    response = await http.post(
        f"{os.environ.get('OPENAI_BASE_URL', 'http://127.0.0.1:8001/v1')}/chat/completions",
        json={"model": MODEL, "messages": [{"role": "system", "content": task}, {"role": "user", "content": text}]},
    )
    answer = response.raise_for_status().json()
    get_current_step_context().record_llm(
        provider="openai",
        request_model=MODEL,
        response_model=answer["model"],
        input_tokens=answer["usage"]["prompt_tokens"],
        output_tokens=answer["usage"]["completion_tokens"],
    )
    return str(answer["choices"][0]["message"]["content"])


@step(kind=StepKind.LLM_CALL)
async def classify(message: str) -> str:
    return await chat("Say in one word: what the customer wants.", message)


@step(kind=StepKind.TOOL_CALL)
async def fetch_order(order_id: str, ctx: Desk) -> Order:
    order = Order(order_id=order_id, customer=ctx.user_id, item="Reading lamp, glass shade", euros=49.0)
    ctx.set_state("order", order)
    return order


@step(kind=StepKind.LLM_CALL)
async def read_source(name: str, order: Order) -> str:
    page = f"{order.item}\n{name}: {SOURCES[name]}"
    return await chat("Say in one sentence what this page means for the order.", page)


@step(kind=StepKind.LLM_CALL)
async def decide(order: Order, facts: list[str]) -> float:
    return float(await chat("Say as a number how many euros we pay back.", f"{order}\n" + "\n".join(facts)))


@step(kind=StepKind.TOOL_CALL, side_effect="idempotent")
async def pay_refund(order_id: str, euros: float, ctx: RunContext, this: StepContext) -> str:
    response = await http.post(
        os.environ.get("REFUNDS_URL", "http://127.0.0.1:8001/refunds"),
        json={"order_id": order_id, "amount": euros},
        headers={"Idempotency-Key": this.idempotency_key},
    )
    if response.status_code != httpx.codes.OK:
        raise RefundsAreDown(response.json()["error"]["message"])
    refund_id = str(response.json()["refund_id"])
    ctx.set_state("refund", {"refund_id": refund_id, "euros": euros})
    return refund_id


@step(kind=StepKind.LLM_CALL)
async def write_reply(message: str, refund_id: str, euros: float) -> str:
    return await chat("Write to the customer, in two sentences.", f"{message}\nRefund {refund_id}: {euros:.2f} EUR")


@agent(name="researcher")
async def research(order_id: str, ctx: RunContext) -> tuple[Order, list[str]]:
    order = await fetch_order(order_id)
    facts = await asyncio.gather(*(read_source(name, order) for name in SOURCES))
    ctx.set_state("facts", facts)
    return order, facts


@agent(name="refunds")
async def refund(message: str, order_id: str, ctx: RunContext) -> str:
    order, facts = await research(order_id)
    await ctx.checkpoint("facts gathered")
    euros = await decide(order, facts)
    refund_id = await pay_refund(order.order_id, euros)
    return await write_reply(message, refund_id, euros)


@agent(name="triage")
async def triage(message: str, ctx: RunContext) -> str:
    wish = await classify(message)
    ctx.set_state("wish", wish)
    if wish == "refund":
        return await refund(message, order_id="A-1042")
    return "A colleague will write to you today."


@run
async def handle(query: str, ctx: Desk) -> str:
    return await triage(query)


async def main() -> None:
    try:
        print(await handle("My lamp arrived broken. I want my money back.", context=Desk(user_id="customer-7")))
    except httpx.ConnectError:
        sys.exit("Nobody answers in the place of the model. Start it first: python -m examples.stub_openai")


if __name__ == "__main__":
    backtrail.configure(service_name="support-bot")
    asyncio.run(main())

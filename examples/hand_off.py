"""One conversation, a process for each turn: between them it is text in a file. Start reading at `reply`.

    hand_off ─┬─ process 1: reply ─ triage                 "what do you do?"
              ├─ process 2: reply ─ triage ─ billing       "my invoice is wrong"  → billing has the conversation
              └─ process 3: reply ─ billing                "then send a new one"

`ctx.to_json()` holds our fields, the run's state, the conversation's id and who was at work last. The customer
register is a service: it is named in the text, and each process brings its own.

    python -m examples.hand_off
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import backtrail
from backtrail import Restored, RunContext, ToolContext, agent, run, tool
from examples.recorded_here import newest, recorded_here

MESSAGES = ["Hello, what do you sell?", "There is something wrong with my invoice.", "Then please send me a new one."]


class Register:
    """The customers. In a real program a connection, which no text can hold."""

    def name_of(self, customer_id: int) -> str:
        return "Ada" if customer_id == 7 else "nobody"


@dataclass
class DeskContext(RunContext):
    customer_id: int
    register: Register


@tool
def note(message: str, tool: ToolContext) -> int:
    """State belongs to the conversation: a tool of a later turn finds it."""
    tool.state["said"] = [*tool.state.get("said", []), message]
    return len(tool.state["said"])


@tool
def find_invoice(tool: ToolContext, ctx: DeskContext) -> str:
    number: str = tool.state.setdefault("invoice", f"R-{ctx.customer_id}-2")
    return f"{number} of {ctx.register.name_of(ctx.customer_id)}"


@agent(name="billing")
def billing(message: str) -> str:
    number = note(message)
    return f"This is billing. I have {find_invoice()} before me; it is message {number} of our conversation."


@agent(name="triage")
def triage(message: str) -> str:
    if "invoice" in message:
        return billing(message)
    note(message)
    return "Lamps. Tell me what it is about, and I find you the right desk."


DESKS = {"triage": triage, "billing": billing}


@run
def reply(message: str, desk: str) -> str:
    return DESKS[desk](message)


def one_turn(session: Path, message: str) -> None:
    """What a process does: restore, answer, keep."""
    restored: Restored[DeskContext]
    if session.exists():
        restored = DeskContext.from_json(session.read_text(), register=Register())
    else:
        restored = Restored(
            context=DeskContext(7, Register()), state={}, conversation_id="conversation-7", current_agent=None
        )
    print(reply(message, restored.current_agent or "triage", context=restored))
    session.write_text(restored.context.to_json())


def main() -> None:
    with recorded_here("hand-off") as (client, folder):
        session = folder / "session.json"
        for message in MESSAGES:
            command = [sys.executable, "-m", "examples.hand_off", str(session), message]
            environment = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": client.endpoint}
            turn = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
            answer, _ = turn.communicate()
            print(f"process {turn.pid}\n  customer  {message}\n  desk      {answer.strip()}")
        print(f"\nbetween two turns\n  {session.read_text()}")
        print("\non record under conversation-7")
        for turn_run in newest(client, len(MESSAGES)):
            agents = " > ".join(each.name for each in turn_run.agents)
            known = client.get_state(turn_run.run_id).values["run"]
            print(f"  {turn_run.run_id[:8]}  {agents:16}  knows {', '.join(known)}; said {len(known['said'])}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        backtrail.configure(service_name="hand-off")
        one_turn(Path(sys.argv[1]), sys.argv[2])
    else:
        main()

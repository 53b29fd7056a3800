"""One turn of a conversation in a process of its own: what came before arrives and leaves as text.

python -m tests.e2e.conversation_program ENDPOINT CONVERSATION MESSAGE < text of the turn before, if any
"""

import sys
from dataclasses import dataclass

import backtrail
from backtrail import RunContext


class Database:
    def customer(self, user_id: str) -> str:
        return f"customer {user_id}"


@dataclass
class ShopContext(RunContext):
    user_id: str
    db: Database


def note(message: str, ctx: RunContext) -> int:
    history = [*ctx.get_state("history", []), message]
    ctx.set_state("history", history)
    return len(history)


@backtrail.agent(name="billing")
def billing(message: str, ctx: ShopContext) -> str:
    return f"billing: message {note(message, ctx)} of {ctx.db.customer(ctx.user_id)}"


@backtrail.agent(name="triage")
def triage(message: str, ctx: ShopContext) -> str:
    return billing(message) if "invoice" in message else f"triage: message {note(message, ctx)}"


@backtrail.run(name="turn")
def turn(message: str, last_agent: str | None) -> str:
    return billing(message) if last_agent == "billing" else triage(message)


if __name__ == "__main__":
    endpoint, conversation, message = sys.argv[1:]
    backtrail.configure(endpoint, service_name="conversation")
    context = ShopContext("u1", Database())
    if text := sys.stdin.read():
        restored = ShopContext.from_json(text, db=Database())
        answer = turn(message, restored.current_agent, context=restored)
        context = restored.context
    else:
        answer = turn.with_options(context=context, conversation_id=conversation)(message, None)
    print(answer)
    print(context.to_json())

"""An agent that is careless with secrets everywhere the SDK looks; the tests start it and search what is kept of it.

python -m tests.security.canary_program ENDPOINT SPOOL
"""

import logging
import sys
from dataclasses import dataclass
from typing import Any

from opentelemetry import trace

import backtrail
from backtrail import RunContext

MARKER = "harmless-canary-7f3a9c"  # beside every secret, with the place; the search has to find this one
KEY = "sk-proj-9tQv{place}0123456789abcdefghijklmnop"
MAIL = "grace.{place}@navy.example"
TOKEN = "ghp_{place}0123456789abcdefghijABCDEFGHIJ01234567"
PASSWORD = "correct horse {place} battery"
BEARER = "Bearer {place}Zm9vYmFyYmF6cXV4"
PRIVATE = "-----BEGIN RSA PRIVATE KEY-----\nMIIE{place}owIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"

PLACES = ("argument", "result", "error", "state", "query", "context", "messages", "attribute", "event", "foreign")
CANARIES: dict[str, list[str]] = {
    place: [template.format(place=place) for template in (KEY, MAIL, TOKEN, BEARER, PRIVATE)] for place in PLACES
}
PASSWORDS = [PASSWORD.format(place=place) for place in ("argument", "result", "state", "context")]


def said(place: str) -> str:
    return f"{MARKER}-{place} " + " and ".join(CANARIES[place])


def with_password(place: str) -> dict[str, Any]:
    return {"note": said(place), "login": {"password": PASSWORD.format(place=place)}}


@dataclass
class Desk(RunContext):
    note: str = ""
    password: str = ""


@backtrail.step(kind=backtrail.StepKind.TOOL_CALL)
def look_up(what: dict[str, Any], ctx: Desk) -> dict[str, Any]:
    ctx.set_state("notes", with_password("state"))
    span = trace.get_current_span()
    span.set_attribute("app.note", said("attribute"))
    span.add_event("noted", {"note": said("event")})
    with trace.get_tracer("foreign").start_as_current_span("foreign call") as foreign:
        foreign.set_attribute("http.request.header.x", said("foreign"))
    return with_password("result")


@backtrail.step(kind=backtrail.StepKind.LLM_CALL)
def chat(messages: list[dict[str, str]]) -> str:
    return messages[-1]["content"]


@backtrail.step
def fail() -> None:
    raise ValueError(said("error"))


@backtrail.run
def handle(query: str, ctx: Desk) -> None:
    print(ctx.run.run_id, flush=True)
    look_up(with_password("argument"))
    chat([{"role": "user", "content": said("messages")}])
    ctx.checkpoint_sync("before the end")
    fail()


if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG)
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    backtrail.configure(sys.argv[1], service_name="careless", spool_dir=sys.argv[2])
    try:
        handle(said("query"), context=Desk(note=said("context"), password=PASSWORD.format(place="context")))
    except ValueError:
        print("failed as meant")
    backtrail.shutdown()

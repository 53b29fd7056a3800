"""A fault that nobody caught: exporters are told to come again, everybody else that it was ours."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from google.rpc.status_pb2 import Status
from starlette.requests import Request
from starlette.responses import Response

import backtrail_query.errors
from backtrail_server import faults


async def break_down(_: Request) -> Response:
    raise ZeroDivisionError


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    backtrail_query.errors.install(app)
    faults.install(app, retry_after=2)
    for path in ("/v1/traces", "/api/v1/runs"):
        app.add_route(path, break_down, methods=["POST"])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_exporters_are_told_to_come_again(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/traces", headers={"content-type": "application/x-protobuf"})

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert Status.FromString(answer.content).message == "Backtrail failed with ZeroDivisionError; its log says more"


async def test_everybody_else_is_told_that_it_was_ours(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/runs")

    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")

"""An agent behind HTTP: a FastAPI application with the middleware, in a process of its own.

python -m tests.e2e.remote_service ENDPOINT [NEXT_URL]
"""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator

import httpx
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

import backtrail
from backtrail import RunContext
from backtrail.middleware import RunMiddleware

app = FastAPI()
app.add_middleware(RunMiddleware)
next_url = sys.argv[2] if len(sys.argv) > 2 else None


@backtrail.step
async def look_up(order_id: str) -> str:
    return f"{order_id} is on its way"


@backtrail.agent
async def answer(order_id: str, ctx: RunContext) -> str:
    ctx.set_state("seen", [order_id])
    found = await look_up(order_id)
    if next_url is not None:
        async with httpx.AsyncClient(base_url=next_url) as client:
            await client.post("/serve", params={"order_id": order_id}, headers=backtrail.inject({}))
    ctx.set_state("seen", [order_id, "done"])
    return f"{ctx.query} {found}"


@backtrail.run
async def serve(order_id: str) -> str:
    return await look_up(order_id)


@app.post("/answer")
async def post_answer(order_id: str) -> str:
    return await answer(order_id)


@app.post("/serve")
async def post_serve(order_id: str) -> str:
    return await serve(order_id)


@app.post("/stream")
async def post_stream(order_id: str) -> StreamingResponse:
    async def parts() -> AsyncIterator[str]:
        for part in ("a", "b"):
            yield await look_up(f"{order_id}-{part}") + "\n"

    return StreamingResponse(parts())


async def main() -> None:
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        await server.serve([listening])


if __name__ == "__main__":
    backtrail.configure(sys.argv[1], service_name="orders" if next_url else "stock")
    asyncio.run(main())

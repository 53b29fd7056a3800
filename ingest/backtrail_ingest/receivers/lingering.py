"""An answer that comes before the end of the body it answers, and closes the connection.

http_receiver, the gate → **lingering** → client

Closing while the client still sends would reset the connection, and a reset can overtake the answer: the client would
come again with the same body. So the answer is sent whole, what arrives meanwhile is thrown away, then comes the end.
"""

import asyncio
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

LINGER_SECONDS = 1


class LingeringResponse(Response):
    def __init__(self, answer: Response) -> None:
        super().__init__(answer.body, answer.status_code, dict(answer.headers) | {"connection": "close"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_all_but_the_end(message: Message) -> None:
            if message["type"] == "http.response.body":
                message["more_body"] = True
            await send(message)

        await super().__call__(scope, receive, send_all_but_the_end)
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await skip_body(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def skip_body(receive: Receive) -> None:
    while (message := await receive())["type"] == "http.request" and message.get("more_body"):
        pass

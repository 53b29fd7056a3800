"""The same gate for gRPC, with the key in the metadata.

client → **rpc_gate** → grpc_receiver
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, TypeAlias

import grpc
import grpc.aio
from starlette.datastructures import State

from backtrail_ingest.receivers.grpc_receiver import STATUS_KEY, calling_project
from backtrail_ingest.receivers.status import status_bytes
from backtrail_server.auth.carriers import carried_key
from backtrail_server.auth.keyring import KeyRing
from backtrail_server.auth.policy import RPCS, UNKNOWN, check
from backtrail_server.auth.refusals import AccessRefused

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class RpcGate(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    """Interceptors are given to a server when it is made; the app's state has the keys when it begins to serve."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        method = handler_call_details.method
        try:
            keyring: KeyRing = self._state.keyring
            grant = keyring.grant(carried_key(texts(handler_call_details.invocation_metadata)))
            check(grant, RPCS.get(method, UNKNOWN), method)
        except AccessRefused as refusal:
            self._state.denials.labels(type(refusal).__name__).inc()
            return refusing(refusal)
        calling_project.set(grant.project)
        return await continuation(handler_call_details)


def texts(metadata: Iterable[tuple[str, str | bytes]]) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in metadata if isinstance(value, str))


def refusing(refusal: AccessRefused) -> Handler:
    """As a stream, which is answered before a message of it is received."""

    async def refuse(messages: object, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        status = status_bytes(refusal.grpc_status, str(refusal))
        await context.abort(refusal.grpc_status, str(refusal), ((STATUS_KEY, status),))

    return grpc.stream_stream_rpc_method_handler(refuse)

"""A refusal as the bytes its caller understands: a problem document, or google.rpc.Status where OTLP is spoken.

gate → **answers** → client
"""

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from backtrail_ingest.receivers.http_receiver import answer_status
from backtrail_ingest.receivers.lingering import LingeringResponse
from backtrail_query.errors import problem
from backtrail_server.auth.browsers import has_body
from backtrail_server.auth.refusals import AccessRefused
from backtrail_server.auth.routes import Found


def refused(scope: Scope, refusal: AccessRefused) -> Response:
    """What a body holds is not waited for: it may be as long as a stranger likes."""
    answer = refusal_of(scope, refusal)
    return LingeringResponse(answer) if has_body(Headers(scope=scope)) else answer


def refusal_of(scope: Scope, refusal: AccessRefused) -> Response:
    headers = {"www-authenticate": 'Bearer realm="backtrail"'} if refusal.http_status == 401 else {}
    if is_otlp(scope["path"]):
        return answer_status(Request(scope), refusal.http_status, refusal.grpc_status, str(refusal), headers=headers)
    return problem(refusal.http_status, refusal.title, str(refusal), headers=headers)


def not_served(scope: Scope, found: Found) -> Response:
    if not found.other_methods:
        return problem(404, "Not Found", f"nothing is served at {scope['path']}")
    allowed = ", ".join(found.other_methods)
    detail = f"{scope['path']} takes {allowed}, not {scope['method']}"
    return problem(405, "Method Not Allowed", detail, headers={"allow": allowed})


def is_otlp(path: str) -> bool:
    return path.startswith(("/v1/", "/v1development/"))

"""GET /: whoever opens the server's address is told what it is, and where to go on.

browser, program → **front**

The same for every server of this version: it needs no key, and says nothing of what is kept.
"""

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from backtrail_query.views import json_response

router = APIRouter(include_in_schema=False)

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Backtrail</title>
<h1>Backtrail</h1>
<p>This server keeps the traces of LLM agents, and it is running.</p>
<ul>
<li>To look at runs: <code>backtrail runs</code> in a terminal, with this address as <code>--endpoint</code> or in
<code>BACKTRAIL_ENDPOINT</code>, and a key in <code>BACKTRAIL_API_KEY</code> if the server has any.
<li>To send spans: this address as <code>OTEL_EXPORTER_OTLP_ENDPOINT</code>, with <code>http/protobuf</code> or
<code>http/json</code>.
<li>For programs: <a href="docs">the API</a>, also as <a href="openapi.json">OpenAPI</a>.
<li>For supervisors: <a href="readyz">readyz</a>, <a href="healthz">healthz</a>.
</ul>
</html>
"""
PLACES = {"name": "Backtrail", "api": "/api/v1", "openapi": "/openapi.json", "docs": "/docs", "ready": "/readyz"}
HEADERS = {
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "vary": "accept",
}


@router.api_route("/", methods=["GET", "HEAD"])
def front(request: Request) -> Response:
    """A page for browsers, which ask for HTML by its name; JSON for everybody else."""
    answer = HTMLResponse(PAGE) if "text/html" in request.headers.get("accept", "") else json_response(PLACES)
    answer.headers.update(HEADERS)
    return answer

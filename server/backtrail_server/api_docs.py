"""GET /docs: the API as a page to read and to try, with scripts of our own.

app → **api_docs** → browser

FastAPI's own page fetches its scripts from a public host: they would see every key that is typed into it, and without
the internet there would be no page.
"""

from enum import StrEnum
from importlib import resources

from fastapi import APIRouter, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse

router = APIRouter(include_in_schema=False)

ASSETS = resources.files("fastapi_offline") / "static"
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Asset(StrEnum):
    SCRIPT = "swagger-ui-bundle.js"
    STYLE = "swagger-ui.css"
    ICON = "favicon.png"


@router.get("/docs")
def page() -> HTMLResponse:
    html = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Backtrail",
        swagger_js_url=f"/docs/{Asset.SCRIPT}",
        swagger_css_url=f"/docs/{Asset.STYLE}",
        swagger_favicon_url=f"/docs/{Asset.ICON}",
    )
    html.headers["content-security-policy"] = POLICY
    return html


@router.get("/docs/{asset}")
def asset(asset: Asset) -> Response:
    return FileResponse(str(ASSETS / asset), headers={"cache-control": "max-age=86400"})

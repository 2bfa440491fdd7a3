"""What a browser is shown: the page at `/`, the documentation at `/docs`, and what both are made of.

Everything comes from this process; no page loads anything from elsewhere, and none runs a
script or takes a style that is written inside it.

May import: nothing of the gateway.
"""

import json
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Request, Response

_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
# Swagger UI writes styles into its elements.
_DOCS_POLICY: Final = _POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
_KINDS: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_SWAGGER: Final = "fastapi_swagger.resources"
_FILES: Final = {
    "/": (__name__, "page.html"),
    "/page.css": (__name__, "page.css"),
    "/page.js": (__name__, "page.js"),
    "/icon.svg": (__name__, "icon.svg"),
    "/docs": (__name__, "docs.html"),
    "/docs.js": (__name__, "docs.js"),
    "/docs/swagger-ui.css": (_SWAGGER, "swagger-ui.css"),
    "/docs/swagger-ui-bundle.js": (_SWAGGER, "swagger-ui-bundle.js"),
}


router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    return Response(json.dumps(request.app.openapi(), ensure_ascii=False), media_type="application/json")


def _file(path: str, package: str, name: str) -> Callable[[], Awaitable[Response]]:
    body = files(package).joinpath(name).read_bytes()
    headers = {
        "content-security-policy": _DOCS_POLICY if path == "/docs" else _POLICY,
        # Small, and another version must not meet an older one's script.
        "cache-control": "no-cache",
    }

    async def endpoint() -> Response:
        return Response(body, headers=headers, media_type=_KINDS[name.rpartition(".")[2]])

    return endpoint


for _path, (_package, _name) in _FILES.items():
    router.add_api_route(_path, _file(_path, _package, _name), methods=["GET"])

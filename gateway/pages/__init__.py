"""What a browser is shown: the page at `/`, the documentation at `/docs`, and what both are made of.

Everything comes from this process; no page loads anything from elsewhere, and none runs a
script or takes a style that is written inside it.

May import: nothing of the gateway.
"""

import json
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Final

from fastapi import Request, Response
from starlette.routing import Route

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
_SCRIPTS: Final = ("page", "words", "tools", "drawing", "history", "csv", "scoring", "file")
"""The page's modules; `page` imports the others."""
_SWAGGER: Final = "fastapi_swagger.resources"
_FILES: Final = {
    "/": (__name__, "page.html"),
    "/page.css": (__name__, "page.css"),
    **{f"/{name}.js": (__name__, f"{name}.js") for name in _SCRIPTS},
    "/icon.svg": (__name__, "icon.svg"),
    "/docs": (__name__, "docs.html"),
    "/docs.js": (__name__, "docs.js"),
    "/docs/swagger-ui.css": (_SWAGGER, "swagger-ui.css"),
    "/docs/swagger-ui-bundle.js": (_SWAGGER, "swagger-ui-bundle.js"),
}


async def _openapi(request: Request) -> Response:
    return Response(json.dumps(request.app.openapi(), ensure_ascii=False), media_type="application/json")


def _file(path: str, package: str, name: str) -> Callable[[Request], Awaitable[Response]]:
    body = files(package).joinpath(name).read_bytes()
    headers = {
        "content-security-policy": _DOCS_POLICY if path == "/docs" else _POLICY,
        # Small, and another version must not meet an older one's script.
        "cache-control": "no-cache",
    }

    async def endpoint(_: Request) -> Response:
        return Response(body, headers=headers, media_type=_KINDS[name.rpartition(".")[2]])

    return endpoint


routes: Final = (
    Route("/openapi.json", _openapi, methods=["GET"]),
    *(Route(path, _file(path, package, name), methods=["GET"]) for path, (package, name) in _FILES.items()),
)
"""GET of each page and file; the OpenAPI document is not in itself."""

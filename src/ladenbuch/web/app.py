"""The web front: the ingest first and bare, then health, metrics and pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ladenbuch.web.ingest import Ingest


class Front:
    """Webhooks go straight to the ingest; everything else to the pages. No framework on the hot path."""

    def __init__(self, ingest: Ingest, rest: ASGIApp) -> None:
        self._ingest = ingest
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/webhooks"):
            await self._ingest(scope, receive, send)
        else:
            await self._rest(scope, receive, send)


def create_app(
    ingest: Ingest | None,
    *,
    ready: Callable[[], dict[str, Any]],
    metrics: Callable[[], bytes],
    pages: Sequence[BaseRoute] = (),
) -> ASGIApp:
    """The ASGI application. `ready` gives the state of the house; its key `ready` decides between 200 and 503."""

    def healthz(request: Request) -> Response:
        return JSONResponse({"ok": True})

    def readyz(request: Request) -> Response:
        state = ready()
        return JSONResponse(state, status_code=200 if state.get("ready") else 503)

    def show_metrics(request: Request) -> Response:
        return Response(metrics(), media_type="text/plain; version=0.0.4")

    routes = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", show_metrics), *pages]
    rest = Starlette(routes=routes)
    return Front(ingest, rest) if ingest is not None else rest

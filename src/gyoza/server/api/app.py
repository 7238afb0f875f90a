"""The ASGI application: every operation mounted, every error turned into a problem."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeAlias

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from gyoza.server.api import (
    artifacts,
    bulk,
    definitions,
    health,
    limits,
    openapi,
    problems,
    run_timelines,
    runs,
    worker_protocol,
    workers,
)
from gyoza.server.api.access import AllowedHosts
from gyoza.server.api.context import ServerContext
from gyoza.server.api.entrance import Entrance
from gyoza.server.api.operations import JSON, PREFIX, Call, Operation

OPENAPI_PATH: Final = f"{PREFIX}/openapi.json"
# Routes are tried in this order; what workers and submitters call all day comes first.
OPERATIONS: Final[tuple[Operation, ...]] = (
    *worker_protocol.OPERATIONS.all,
    *runs.OPERATIONS.all,
    *bulk.OPERATIONS.all,
    *run_timelines.OPERATIONS.all,
    *definitions.OPERATIONS.all,
    *limits.OPERATIONS.all,
    *workers.OPERATIONS.all,
    *artifacts.OPERATIONS.all,
    *health.OPERATIONS.all,
)

Lifespan: TypeAlias = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class ThinRoute(APIRoute):
    """A route whose endpoint gets the request as it is, past FastAPI's parameter machinery."""

    def get_route_handler(self) -> Any:
        """Return the endpoint itself."""
        return self.endpoint


def build_app(
    context: ServerContext, new_request_id: Callable[[], str], lifespan: Lifespan | None = None
) -> FastAPI:
    """Put the application together; nothing is opened or started here.

    Args:
        context: What the routes can reach.
        new_request_id: Makes an id for a request that brings none.
        lifespan: Started before the first request and ended after the last.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)
    for kind, handler in problems.HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.add_exception_handler(problems.STATUSES["METHOD_NOT_ALLOWED"], _on_wrong_method)
    app.state.context = context
    _mount(app)
    app.add_route(OPENAPI_PATH, _description(context.version), include_in_schema=False)
    hosts = None if context.keys.configured else AllowedHosts(context.settings.allowed_hosts)
    app.add_middleware(
        Entrance, hosts=hosts, stopping=context.stopping, new_request_id=new_request_id
    )
    return app


@functools.cache
def described(version: str) -> str:
    """Return the OpenAPI document of a version as text; takes 80 ms, so a start does not wait."""
    app = FastAPI()
    _mount(app)
    return openapi.text(openapi.document(app, OPERATIONS, version))


def _mount(app: FastAPI) -> None:
    for operation in OPERATIONS:
        app.router.add_api_route(
            operation.path,
            _endpoint(operation),
            response_model=None,
            response_class=Response,
            route_class_override=ThinRoute,
            **openapi.route_arguments(operation),
        )


async def _on_wrong_method(request: Request, _error: Exception) -> Response:
    # Starlette names the methods of the first route at the path only.
    here = [
        route
        for route in request.app.routes
        if isinstance(route, APIRoute) and route.path_regex.fullmatch(request.url.path)
    ]
    methods = sorted({method for route in here for method in route.methods or ()})
    return await problems.on_wrong_method(request, methods)


def _endpoint(operation: Operation) -> Callable[..., Any]:
    async def endpoint(request: Request) -> Response:
        context: ServerContext = request.app.state.context
        context.keys.admit(request.headers, operation.access)
        return await operation.handler(Call(request, context, operation))

    return endpoint


def _description(version: str) -> Callable[[Request], Any]:
    async def endpoint(_request: Request) -> Response:
        return Response(described(version), media_type=JSON)

    return endpoint

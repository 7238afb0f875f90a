"""Routes of `/definitions`: registering, reading and archiving ops."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gyoza.server.api.documents import DefinitionDocument, DefinitionPage
from gyoza.server.api.operations import Answer, Call, Operations, json_answer
from gyoza.server.api.queries import DefinitionsQuery, page_query
from gyoza.server.use_cases import definitions
from gyoza.wire.messages import PutDefinition

OPERATIONS: Final = Operations("definitions")


@OPERATIONS.on(
    "PUT",
    "/definitions",
    "putDefinition",
    {
        201: Answer("A new version.", DefinitionDocument),
        200: Answer("The same bytes again.", DefinitionDocument),
    },
    body=PutDefinition,
    problems=("INVALID_INPUT", "VERSION_CONFLICT"),
)
async def put_definition(call: Call) -> Response:
    """Register a version of an op and make it the latest."""
    command = await call.message(PutDefinition)
    definition, created = await call.server.store.write(
        lambda uow: definitions.put_definition(uow, command)
    )
    return json_answer(definition.to_dict(), 201 if created else 200)


@OPERATIONS.on(
    "GET",
    "/definitions",
    "listDefinitions",
    {200: Answer("A page of ops, each in its latest version.", DefinitionPage)},
    query=DefinitionsQuery,
)
async def list_definitions(call: Call) -> Response:
    """List ops."""
    query = call.query(DefinitionsQuery)
    page = page_query(query, call.server.settings)
    found, token = await call.server.store.read(
        lambda uow: definitions.list_definitions(uow, page, include_archived=query.archived)
    )
    return json_answer({"items": [item.to_dict() for item in found], "next_page_token": token})


@OPERATIONS.on(
    "GET",
    "/definitions/{id}",
    "getDefinition",
    {200: Answer("The latest version.", DefinitionDocument)},
    problems=("OP_NOT_FOUND",),
)
async def get_definition(call: Call) -> Response:
    """Show the latest version of an op."""
    found = await call.server.store.read(
        lambda uow: definitions.get_definition(uow, call.path("id"))
    )
    return json_answer(found.to_dict())


@OPERATIONS.on(
    "GET",
    "/definitions/{id}/versions",
    "listDefinitionVersions",
    {200: Answer("Every version, newest first.", DefinitionPage)},
    problems=("OP_NOT_FOUND",),
)
async def list_versions(call: Call) -> Response:
    """List the versions of an op."""
    found = await call.server.store.read(
        lambda uow: definitions.list_versions(uow, call.path("id"))
    )
    return json_answer({"items": [item.to_dict() for item in found], "next_page_token": ""})


@OPERATIONS.on(
    "GET",
    "/definitions/{id}/versions/{version}",
    "getDefinitionVersion",
    {200: Answer("That version.", DefinitionDocument)},
    problems=("OP_NOT_FOUND", "VERSION_NOT_FOUND"),
)
async def get_version(call: Call) -> Response:
    """Show one version of an op."""
    found = await call.server.store.read(
        lambda uow: definitions.get_definition(uow, call.path("id"), call.path("version"))
    )
    return json_answer(found.to_dict())


@OPERATIONS.on(
    "DELETE",
    "/definitions/{id}",
    "archiveDefinition",
    {204: Answer("The op takes no new runs.")},
    problems=("OP_NOT_FOUND",),
)
async def archive_definition(call: Call) -> Response:
    """Archive an op: runs of it go on, new ones are refused, a new version brings it back."""
    await call.server.store.write(lambda uow: definitions.archive_definition(uow, call.path("id")))
    return Response(status_code=204)

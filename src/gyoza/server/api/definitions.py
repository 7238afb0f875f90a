"""Routes of `/definitions`: registering, reading and archiving ops."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gyoza.models.spec_schemas import inputs_schema, outputs_schema
from gyoza.server.api.documents import DefinitionDocument, DefinitionPage, DefinitionSchema
from gyoza.server.api.operations import Answer, Call, Operations, json_answer
from gyoza.server.api.queries import (
    DefinitionsQuery,
    PutDefinitionQuery,
    SchemaQuery,
    page_query,
)
from gyoza.server.api.runs import once
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases import definitions, idempotency
from gyoza.wire.messages import PutDefinition, RollBack

OPERATIONS: Final = Operations("definitions")


@OPERATIONS.on(
    "PUT",
    "/definitions",
    "putDefinition",
    {
        201: Answer("A new version.", DefinitionDocument),
        200: Answer("The same bytes again, or a dry run.", DefinitionDocument),
    },
    body=PutDefinition,
    query=PutDefinitionQuery,
    problems=("INVALID_INPUT", "VERSION_CONFLICT"),
)
async def put_definition(call: Call) -> Response:
    """Register a version of an op and make it the latest."""
    dry_run = call.query(PutDefinitionQuery).dry_run
    command = await call.message(PutDefinition)
    if dry_run:
        checked, _ = await call.server.store.read(
            lambda uow: definitions.check_definition(uow, command)
        )
        return json_answer(checked.to_dict())
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
    "GET",
    "/definitions/{id}/schema",
    "getDefinitionSchema",
    {200: Answer("What goes in and what comes out.", DefinitionSchema)},
    query=SchemaQuery,
    problems=("OP_NOT_FOUND", "VERSION_NOT_FOUND"),
)
async def get_schema(call: Call) -> Response:
    """Show an op's inputs and outputs as JSON Schemas."""
    version = call.query(SchemaQuery).version
    found = await call.server.store.read(
        lambda uow: definitions.get_definition(uow, call.path("id"), version)
    )
    schema = DefinitionSchema(
        found.id,
        found.version,
        inputs_schema(found.input_specs),
        outputs_schema(found.output_specs),
    )
    return json_answer(schema)


@OPERATIONS.on(
    "POST",
    "/definitions/{id}/rollback",
    "rollBackDefinition",
    {200: Answer("The version that is current now.", DefinitionDocument)},
    body=RollBack,
    body_optional=True,
    problems=("OP_NOT_FOUND", "VERSION_NOT_FOUND", "OP_ARCHIVED", "NO_EARLIER_VERSION"),
    idempotent=True,
)
async def roll_back(call: Call) -> Response:
    """Make an earlier version the current one; what was submitted runs on as it was."""
    command = await call.message(RollBack)

    def effect(uow: UnitOfWork) -> idempotency.Answer:
        current = definitions.roll_back(uow, call.path("id"), command.version)
        return idempotency.Answer(200, current.to_dict())

    answer, headers = await once(call, command, effect)
    return json_answer(answer.body, answer.status, headers)


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

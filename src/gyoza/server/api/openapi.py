"""The OpenAPI 3.1 document, made from the same declarations as the routes.

FastAPI writes the frame (paths, operation ids, summaries); what it would normally read off Pydantic
models comes from the msgspec messages here. `docs/reference/openapi.json` is a committed copy, and
a test says when it is out of date.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gyoza.server.api.access import Access
from gyoza.server.api.operations import JSON, Answer, Operation
from gyoza.server.api.problems import MEDIA_TYPE as PROBLEM_JSON
from gyoza.server.api.problems import STATUSES
from gyoza.wire.messages import Problem

Schema = dict[str, Any]

TITLE: Final = "gyoza"
_DESCRIPTION: Final = (
    "Run functions as containers on your own machines. Errors are RFC 9457 problem documents with "
    "a stable `code`; decide by that. Lists page by `next_page_token`."
)
_REF: Final = "#/components/schemas/{name}"
_ANY_PROBLEM: Final = (
    "INVALID_REQUEST",
    "NOT_AUTHENTICATED",
    "NOT_ALLOWED",
    "HOST_NOT_ALLOWED",
    "STORE_UNAVAILABLE",
    "SHUTTING_DOWN",
    "INTERNAL",
)
_BODY_PROBLEMS: Final = ("INVALID_JSON", "BODY_TOO_LARGE")
_STREAMED_BODY: Final = {"schema": {"type": "string", "format": "binary"}}


def document(app: FastAPI, operations: Sequence[Operation], version: str) -> Schema:
    """Return the whole document.

    Args:
        app: Has every operation mounted.
        operations: The same operations; their messages become the component schemas.
        version: Of the gyoza distribution.
    """
    found = get_openapi(title=TITLE, version=version, description=_DESCRIPTION, routes=app.routes)
    components = found.setdefault("components", {})
    components["schemas"] = dict(sorted(_schemas(operations).items()))
    components["securitySchemes"] = {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
    return found


def text(found: Schema) -> str:
    """Write the document as it is committed: stable order, readable differences."""
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def route_arguments(operation: Operation) -> dict[str, Any]:
    """Return what FastAPI is told about an operation when its route is added."""
    first, *_ = operation.answers
    return {
        "methods": [operation.method],
        "operation_id": operation.id,
        "tags": [operation.tag],
        "summary": _first_line(operation),
        "description": "",
        "status_code": first,
        "response_description": operation.answers[first].description,
        "responses": _responses(operation),
        "openapi_extra": _extra(operation),
    }


def _first_line(operation: Operation) -> str:
    return (inspect.getdoc(operation.handler) or operation.id).partition("\n")[0]


def _extra(operation: Operation) -> Schema:
    extra: Schema = {"parameters": _parameters(operation)}
    if operation.body is not None:
        content = {JSON: {"schema": _reference(operation.body)}}
        extra["requestBody"] = {"required": not operation.body_optional, "content": content}
    if operation.uploads:
        content = {"application/octet-stream": _STREAMED_BODY}
        extra["requestBody"] = {"required": True, "content": content}
    if operation.access is not Access.PUBLIC:
        extra["security"] = [{"key": []}]
        extra["x-gyoza-access"] = operation.access.value
    return extra


def _parameters(operation: Operation) -> list[Schema]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)", operation.path)
    ]
    for field in msgspec.structs.fields(operation.query):
        schema = msgspec.json.schema(field.type)
        description = schema.pop("description", "")
        found.append(
            {"name": field.encode_name, "in": "query", "schema": schema, "description": description}
        )
    if operation.idempotent:
        schema = {"type": "string", "minLength": 1, "maxLength": 255}
        found.append({"name": "Idempotency-Key", "in": "header", "schema": schema})
    return found


def _responses(operation: Operation) -> dict[int | str, Schema]:
    found: dict[int | str, Schema] = {
        status: _response(answer) for status, answer in operation.answers.items()
    }
    codes = (*operation.problems, *_ANY_PROBLEM)
    if operation.body is not None or operation.uploads:
        codes = (*codes, *_BODY_PROBLEMS)
    for status in sorted({STATUSES[code] for code in codes} - set(operation.answers)):
        named = [code for code in codes if STATUSES[code] == status]
        found[status] = {
            "description": ", ".join(dict.fromkeys(named)),
            "content": {PROBLEM_JSON: {"schema": _reference(Problem)}},
        }
    return found


def _response(answer: Answer) -> Schema:
    content: Schema = {}
    if answer.document is not None:
        content[JSON] = {"schema": _reference(answer.document)}
    for media_type in answer.media_types:
        content[media_type] = {"schema": {"type": "string"}}
    return {"description": answer.description, **({"content": content} if content else {})}


def _reference(kind: Any) -> Schema:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REF)
    return schema


def _schemas(operations: Sequence[Operation]) -> Schema:
    kinds: list[Any] = [Problem]
    for operation in operations:
        kinds += [answer.document for answer in operation.answers.values() if answer.document]
        kinds += [operation.body] if operation.body is not None else []
    _, schemas = msgspec.json.schema_components(list(dict.fromkeys(kinds)), ref_template=_REF)
    return schemas

"""Query strings as typed values: one struct per shape, which also describes it in OpenAPI.

A misspelt parameter is refused rather than ignored: a filter that silently does nothing shows a
person the wrong runs.
"""

from __future__ import annotations

import difflib
import typing
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta
from starlette.datastructures import QueryParams

from gyoza.server.errors import InvalidRequest
from gyoza.server.settings import Settings
from gyoza.server.use_cases.paging import PageQuery
from gyoza.wire.messages import Fault

_MAX: Final = 2**31 - 1  # far beyond any real number here, and fits every database's integers
PageSize = Annotated[
    int, Meta(ge=0, le=_MAX, description="Items of a page; 0 takes the server's default.")
]
Positive = Annotated[int, Meta(ge=1, le=_MAX)]
PageToken = Annotated[str, Meta(description="next_page_token of the page before.")]
After = Annotated[int, Meta(ge=0, le=_MAX, description="Only items numbered above.")]


class Query(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Parameters in a query string."""


class NoQuery(Query):
    """No parameters."""


class Paged(Query):
    """Which page of a list."""

    page_size: PageSize = 0
    page_token: PageToken = ""


class PutDefinitionQuery(Query):
    """How to register."""

    dry_run: Annotated[bool, Meta(description="Only check; nothing is stored.")] = False


class SchemaQuery(Query):
    """Which version's schema."""

    version: Annotated[str | None, Meta(description="Default the current.")] = None


class DefinitionsQuery(Paged):
    """Which ops to list."""

    archived: Annotated[bool, Meta(description="Show archived ops too.")] = False


class QuotaQuery(Query):
    """Whose quota."""

    owner: Annotated[str, Meta(description="Who submits.", min_length=1)]


class RunsQuery(Paged):
    """Which runs to list."""

    state: Annotated[list[str], Meta(description="In any of these states.")] = []
    op: Annotated[str | None, Meta(description="Op id.")] = None
    owner: Annotated[str | None, Meta(description="Who submitted.")] = None
    worker: Annotated[str | None, Meta(description="Worker of the current attempt.")] = None
    tag: Annotated[list[str], Meta(description="`key=value`; all must match.")] = []
    batch: Annotated[str | None, Meta(description="Id of a batch.")] = None


class EventsQuery(Query):
    """Which events of a run."""

    after: After = 0
    page_size: PageSize = 0


class LogsQuery(Query):
    """Which log chunks of a run."""

    attempt: Annotated[Positive | None, Meta(description="Attempt; default the current.")] = None
    after: After = 0
    tail: Annotated[Positive | None, Meta(description="The last so many chunks.")] = None
    page_size: PageSize = 0


Q = TypeVar("Q", bound=Query)


def parse(sent: QueryParams, kind: type[Q]) -> Q:
    """Check a query string against its struct.

    Raises:
        InvalidRequest: An unknown or repeated parameter, or a value of the wrong type; the fault's
            pointer is the parameter's name.
    """
    known = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, Any] = {}
    for name in sent:
        if name not in known:
            raise InvalidRequest([_unknown(name, list(known))])
        values[name] = _value(sent.getlist(name), name, known[name].type)
    return _build(kind, values)


def page_of(limit: int, settings: Settings) -> int:
    """Return how many items a page has when `limit` were asked for; 0 means the default."""
    return min(limit or settings.page_size, settings.max_page_size)


def page_query(query: Paged, settings: Settings) -> PageQuery:
    """Return what use cases take for a page."""
    return PageQuery(limit=page_of(query.page_size, settings), token=query.page_token)


def tags_of(query: RunsQuery) -> tuple[tuple[str, str], ...]:
    """Split `tag=key=value` parameters at their first `=`.

    Raises:
        InvalidRequest: One has no `=`.
    """
    pairs = [text.partition("=") for text in query.tag]
    wrong = [key for key, equals, _ in pairs if not equals]
    if wrong:
        fault = f"{wrong[0]!r} is not of the form key=value"
        raise InvalidRequest([Fault(pointer="tag", message=fault)])
    return tuple((key, value) for key, _, value in pairs)


def _value(sent: list[str], name: str, kind: Any) -> Any:
    if typing.get_origin(typing.get_args(kind)[0]) is list:
        return sent
    if len(sent) > 1:
        raise InvalidRequest([Fault(pointer=name, message="is given more than once")])
    return sent[0]


def _build(kind: type[Q], values: dict[str, Any]) -> Q:
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$.")
        raise InvalidRequest([Fault(pointer=path.rstrip("`"), message=text)]) from None


def _unknown(name: str, known: list[str]) -> Fault:
    close = difflib.get_close_matches(name, known, n=1)
    expected = f"did you mean {close[0]!r}?" if close else f"expected {', '.join(known) or 'none'}"
    return Fault(pointer=name, message=f"unknown parameter; {expected}")

"""Registering, reading and archiving op definitions; what makes one acceptable is in `op_rules`."""

from __future__ import annotations

from gyoza.models import OpDefinition
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.paging import PageQuery
from gyoza.wire.messages import PutDefinition


def put_definition(uow: UnitOfWork, command: PutDefinition) -> tuple[OpDefinition, bool]:
    """Register a version of an op and make it the current one; an archived op comes back.

    Sending a registered version again with the same content changes nothing but which version is
    current.

    Returns:
        The definition as stored, and whether this version is new.

    Raises:
        InvalidInput: With every fault of the document as a JSON pointer.
        VersionConflict: The version is registered with other content.
    """
    raise NotImplementedError


def get_definition(uow: UnitOfWork, op_id: str, version: str | None = None) -> OpDefinition:
    """Return a version of an op; None means the current one.

    Raises:
        OpNotFound: No op has this id.
        VersionNotFound: The op has no such version.
    """
    raise NotImplementedError


def list_definitions(
    uow: UnitOfWork, query: PageQuery, *, include_archived: bool = False
) -> tuple[list[OpDefinition], str]:
    """Return a page of current definitions by op id, and the next page's token ("" at the end).

    Raises:
        InvalidRequest: The page token is not one of ours.
    """
    raise NotImplementedError


def list_versions(uow: UnitOfWork, op_id: str) -> list[OpDefinition]:
    """Return all versions of an op, newest first.

    Raises:
        OpNotFound: No op has this id.
    """
    raise NotImplementedError


def archive_definition(uow: UnitOfWork, op_id: str) -> None:
    """Let an op take no new runs; archiving an archived op changes nothing.

    Raises:
        OpNotFound: No op has this id.
    """
    raise NotImplementedError

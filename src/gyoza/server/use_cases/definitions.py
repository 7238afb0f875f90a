"""Registering, reading, rolling back, archiving ops; `op_rules` says what makes one acceptable."""

from __future__ import annotations

import json

from gyoza.models import OpDefinition
from gyoza.server.errors import (
    InvalidInput,
    NoEarlierVersion,
    OpArchived,
    OpNotFound,
    VersionConflict,
    VersionNotFound,
)
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.op_rules import definition_from
from gyoza.server.use_cases.paging import PageQuery, cut_page, key_in
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
    definition, is_new = check_definition(uow, command)
    if is_new:
        uow.definitions.add(definition)
    else:
        uow.definitions.make_current(definition.id, definition.version)
    return definition, is_new


def check_definition(uow: UnitOfWork, command: PutDefinition) -> tuple[OpDefinition, bool]:
    """Return what `put_definition` would, with all its refusals, and store nothing.

    Raises:
        InvalidInput: With every fault of the document as a JSON pointer.
        VersionConflict: The version is registered with other content.
    """
    definition, faults = definition_from(command, uow.now())
    if definition is None:
        raise InvalidInput(faults)
    known = uow.definitions.find(definition.id, definition.version)
    if known is None:
        return definition, True
    differing = _differing_fields(known, definition)
    if differing:
        raise VersionConflict(definition.id, definition.version, differing)
    return known, False


def roll_back(uow: UnitOfWork, op_id: str, version: str | None) -> OpDefinition:
    """Make a registered version the current one; runs that were submitted keep theirs.

    Args:
        uow: The unit of work.
        op_id: Op id.
        version: None is the one registered before the current one.

    Returns:
        The version that is current now.

    Raises:
        OpNotFound: No op has this id.
        VersionNotFound: The op has no such version.
        OpArchived: The op takes no runs, whatever its version.
        NoEarlierVersion: The current version was registered first.
    """
    wanted = version if version is not None else _version_before(list_versions(uow, op_id), uow)
    found = get_definition(uow, op_id, wanted)
    if uow.definitions.is_archived(op_id):
        raise OpArchived(op_id)
    uow.definitions.make_current(op_id, found.version)
    return found


def get_definition(uow: UnitOfWork, op_id: str, version: str | None = None) -> OpDefinition:
    """Return a version of an op; None means the current one.

    Raises:
        OpNotFound: No op has this id.
        VersionNotFound: The op has no such version.
    """
    definition = uow.definitions.find(op_id, version)
    if definition is not None:
        return definition
    if version is not None and uow.definitions.exists(op_id):
        raise VersionNotFound(op_id, version)
    raise OpNotFound(op_id)


def list_definitions(
    uow: UnitOfWork, query: PageQuery, *, include_archived: bool = False
) -> tuple[list[OpDefinition], str]:
    """Return a page of current definitions by op id, and the next page's token ("" at the end).

    Raises:
        InvalidRequest: The page token is not one of ours.
    """
    found = uow.definitions.list_current(
        include_archived=include_archived, after_id=key_in(query), limit=query.limit + 1
    )
    return cut_page(found, query.limit, lambda definition: definition.id)


def list_versions(uow: UnitOfWork, op_id: str) -> list[OpDefinition]:
    """Return all versions of an op, newest first.

    Raises:
        OpNotFound: No op has this id.
    """
    found = uow.definitions.list_versions(op_id)
    if not found:
        raise OpNotFound(op_id)
    return found


def archive_definition(uow: UnitOfWork, op_id: str) -> None:
    """Let an op take no new runs; archiving an archived op changes nothing.

    Raises:
        OpNotFound: No op has this id.
    """
    if not uow.definitions.exists(op_id):
        raise OpNotFound(op_id)
    uow.definitions.archive(op_id)


def _version_before(newest_first: list[OpDefinition], uow: UnitOfWork) -> str:
    op_id = newest_first[0].id
    current = get_definition(uow, op_id).version
    versions = [definition.version for definition in newest_first]
    earlier = versions[versions.index(current) + 1 :]
    if not earlier:
        raise NoEarlierVersion(op_id, current)
    return earlier[0]


def _differing_fields(known: OpDefinition, given: OpDefinition) -> list[str]:
    old, new = known.to_dict(), given.to_dict()
    names = (old.keys() | new.keys()) - {"createdAt", "updatedAt"}
    return sorted(name for name in names if _form(old.get(name)) != _form(new.get(name)))


def _form(value: object) -> str:
    # As text, because to Python True, 1 and 1.0 are the same and to JSON they are not.
    return json.dumps(value, sort_keys=True)

"""Which run is meant by an id, or by the beginning of one."""

from __future__ import annotations

from typing import Final

from gyoza.server.errors import AmbiguousId, RunNotFound
from gyoza.server.storage.unit_of_work import UnitOfWork

MIN_PREFIX_CHARS: Final = 8


def whole_id(uow: UnitOfWork, id_or_prefix: str) -> str:
    """Return the id of the run that is meant.

    Args:
        uow: The unit of work.
        id_or_prefix: `run_...`, whole or at least 8 characters of its beginning.

    Raises:
        RunNotFound: Nothing matches, or it is too short to be looked for.
        AmbiguousId: More than one run matches.
    """
    if len(id_or_prefix) < MIN_PREFIX_CHARS:
        raise RunNotFound(id_or_prefix, min_chars=MIN_PREFIX_CHARS)
    ids = uow.runs.ids_with_prefix(id_or_prefix)
    if not ids:
        raise RunNotFound(id_or_prefix)
    if len(ids) > 1 and id_or_prefix not in ids:
        raise AmbiguousId(id_or_prefix, ids)
    return ids[0]

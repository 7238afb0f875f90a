"""Files that a run's values name, `{"$artifact": {...}}` at any depth: found, checked, noted.

A file that is not stored is refused at the submit: a worker would only find out later, and what is
named by a run is what the collector spares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from gyoza.models.value_types import ARTIFACT_KEY
from gyoza.server.errors import InvalidInput
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.wire.messages import Fault, JsonObject
from gyoza.wire.strict_json import pointer_of


@dataclass(frozen=True, slots=True)
class Named:
    """A file as a value names it.

    Attributes:
        pointer: JSON pointer to the description.
        facts: The description; what a caller wrote.
    """

    pointer: str
    facts: JsonObject

    @property
    def sha256(self) -> str:
        """The hash; "" when there is none that could be one."""
        sha256 = self.facts.get("sha256")
        return sha256 if isinstance(sha256, str) else ""


def named_in(value: Any, at: str) -> Iterator[Named]:
    """Yield every file that a value names.

    Args:
        value: Any JSON value.
        at: JSON pointer to it in its document.
    """
    if isinstance(value, dict):
        members = cast("JsonObject", value)
        facts = members.get(ARTIFACT_KEY)
        if isinstance(facts, dict) and len(members) == 1:
            yield Named(f"{at}/{ARTIFACT_KEY}", cast("JsonObject", facts))
            return
        for key, member in members.items():
            if isinstance(member, dict | list):
                yield from named_in(member, at + pointer_of(key))
    elif isinstance(value, list):
        for index, item in enumerate(cast("list[Any]", value)):
            if isinstance(item, dict | list):
                yield from named_in(item, f"{at}/{index}")


def reference_faults(named: Sequence[Named], sizes: Mapping[str, int]) -> list[Fault]:
    """Return what is wrong with the files that a document names.

    Args:
        named: Those.
        sizes: Bytes of each of them that is stored.
    """
    faults: list[Fault] = []
    for each in named:
        size = sizes.get(each.sha256)
        if size is None:
            message = f"{each.sha256[:80]!r} is not stored here; upload it, then submit again"
            faults.append(Fault(pointer=f"{each.pointer}/sha256", message=message))
        elif each.facts.get("size_bytes") != size:
            message = f"got {each.facts.get('size_bytes')!r}, the stored file has {size} bytes"
            faults.append(Fault(pointer=f"{each.pointer}/size_bytes", message=message))
    return faults


def checked_references(uow: UnitOfWork, value: Any, at: str) -> set[str]:
    """Return the hashes of the files that a value names.

    Raises:
        InvalidInput: One of them is not stored, or not as it is described.
    """
    named = list(named_in(value, at))
    if not named:
        return set()
    hashes = {each.sha256 for each in named}
    faults = reference_faults(named, uow.artifacts.sizes(hashes))
    if faults:
        raise InvalidInput(faults)
    return hashes

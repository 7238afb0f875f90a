"""Whether a deploy builds an op's image or takes the one that is there: a decision over values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from gyoza.project.image_plan import OP_LABEL
from gyoza.project.source_hash import SOURCE_LABEL


class Wish(Enum):
    """What was asked for."""

    AS_NEEDED = "as needed"
    BUILD = "build"
    NO_BUILD = "no build"


@dataclass(frozen=True, slots=True)
class Found:
    """What is known about the image of a name.

    Attributes:
        here: Labels of the image on this machine; None when there is none of that name.
        in_registry: Whether its registry has it; only asked when it is not here.
    """

    here: Mapping[str, str] | None
    in_registry: bool = False


@dataclass(frozen=True, slots=True)
class ImageChoice:
    """The decision.

    Attributes:
        builds: Whether to build.
        reason: Why, as the end of a sentence about the image.
        is_outdated: Whether an image of the same name, made of another source, is replaced.
    """

    builds: bool
    reason: str
    is_outdated: bool = False


_FOREIGN: Final = "was not made by `gyoza build` and is taken as it is; --build builds it"


def choose_image(wanted: str | None, found: Found, wish: Wish = Wish.AS_NEEDED) -> ImageChoice:
    """Decide.

    Args:
        wanted: Hash of the project's source; None when nothing says how to build it.
        found: What is known about the image.
        wish: What was asked for.
    """
    if wanted is None:
        return ImageChoice(builds=False, reason="is taken as it is")
    if wish is Wish.NO_BUILD:
        return ImageChoice(builds=False, reason="is taken as it is, with --no-build")
    if wish is Wish.BUILD:
        outdated = found.here is not None and found.here.get(SOURCE_LABEL, wanted) != wanted
        return ImageChoice(builds=True, reason="is built, with --build", is_outdated=outdated)
    return _missing(found) if found.here is None else _of_labels(found.here, wanted)


def _missing(found: Found) -> ImageChoice:
    if found.in_registry:
        return ImageChoice(builds=False, reason="is in its registry; --build builds it here")
    return ImageChoice(builds=True, reason="is not on this machine: it is built")


def _of_labels(labels: Mapping[str, str], wanted: str) -> ImageChoice:
    made_of = labels.get(SOURCE_LABEL)
    if made_of == wanted:
        return ImageChoice(builds=False, reason="is built of this source already")
    if made_of is not None:
        reason = "is older than its source: it is built anew"
        return ImageChoice(builds=True, reason=reason, is_outdated=True)
    if OP_LABEL in labels:
        return ImageChoice(builds=True, reason="was built by an older gyoza: it is built anew")
    return ImageChoice(builds=False, reason=_FOREIGN)

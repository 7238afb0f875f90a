"""Whether a deploy builds: what was asked, what is there, what the source is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest

from gyoza.project.compatibility import next_version
from gyoza.project.image_choice import Found, Wish, choose_image

SAME: Final = {"org.gyoza.op": "a", "org.gyoza.source": "sha256:1"}
OTHER: Final = {"org.gyoza.op": "a", "org.gyoza.source": "sha256:2"}
OLD: Final = {"org.gyoza.op": "a"}
FOREIGN: Final = {"maintainer": "me"}


@pytest.mark.parametrize(
    ("labels", "in_registry", "wish", "builds", "reason"),
    [
        (None, False, Wish.AS_NEEDED, True, "is not on this machine"),
        (None, True, Wish.AS_NEEDED, False, "is in its registry"),
        (SAME, False, Wish.AS_NEEDED, False, "is built of this source already"),
        (OTHER, False, Wish.AS_NEEDED, True, "is older than its source"),
        (OLD, False, Wish.AS_NEEDED, True, "was built by an older gyoza"),
        (FOREIGN, False, Wish.AS_NEEDED, False, "was not made by `gyoza build`"),
        (SAME, False, Wish.BUILD, True, "--build"),
        (None, True, Wish.BUILD, True, "--build"),
        (OTHER, False, Wish.NO_BUILD, False, "--no-build"),
        (None, False, Wish.NO_BUILD, False, "--no-build"),
    ],
)
def test_an_image_is_built_when_it_is_missing_or_not_its_sources(  # noqa: FBT001
    labels: Mapping[str, str] | None, in_registry: bool, wish: Wish, builds: bool, reason: str
) -> None:
    choice = choose_image("sha256:1", Found(labels, in_registry), wish)

    assert (choice.builds, reason in choice.reason) == (builds, True)


def test_only_an_image_of_another_source_is_outdated() -> None:
    seen = [choose_image("sha256:1", Found(each)) for each in (None, SAME, OTHER, OLD, FOREIGN)]

    assert [choice.is_outdated for choice in seen] == [False, False, True, False, False]


def test_what_nothing_builds_is_taken() -> None:
    assert not choose_image(None, Found(None)).builds


@pytest.mark.parametrize(
    ("version", "next_one", "after_breaking"),
    [
        ("1.2.3", "1.2.4", "2.0.0"),
        ("0.2.3", "0.2.4", "0.3.0"),
        ("1", "2", "2"),
        ("0", "1", "1"),
        ("1.9", "1.10", "2.0"),
        ("2024-05-r9", "2024-05-r10", "2024-05-r10"),
        ("nightly", "nightly.1", "nightly.1"),
    ],
)
def test_the_next_version_is_the_one_people_would_take(
    version: str, next_one: str, after_breaking: str
) -> None:
    assert next_version(version) == next_one
    assert next_version(version, is_breaking=True) == after_breaking

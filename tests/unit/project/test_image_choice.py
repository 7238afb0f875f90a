"""Whether a deploy builds: what was asked, what is there, what the source is."""

from __future__ import annotations

from typing import Final

import pytest

from gyoza.project.compatibility import next_version
from gyoza.project.image_choice import Found, Wish, choose_image

SAME: Final = {"org.gyoza.op": "a", "org.gyoza.source": "sha256:1"}
OTHER: Final = {"org.gyoza.op": "a", "org.gyoza.source": "sha256:2"}
OLD: Final = {"org.gyoza.op": "a"}
FOREIGN: Final = {"maintainer": "me"}


BUILDS: Final = [
    (Found(None), Wish.AS_NEEDED, "is not on this machine"),
    (Found(OTHER), Wish.AS_NEEDED, "is older than its source"),
    (Found(OLD), Wish.AS_NEEDED, "was built by an older gyoza"),
    (Found(SAME), Wish.BUILD, "--build"),
    (Found(None, in_registry=True), Wish.BUILD, "--build"),
]
TAKES: Final = [
    (Found(None, in_registry=True), Wish.AS_NEEDED, "is in its registry"),
    (Found(SAME), Wish.AS_NEEDED, "is built of this source already"),
    (Found(FOREIGN), Wish.AS_NEEDED, "was not made by `gyoza build`"),
    (Found(OTHER), Wish.NO_BUILD, "--no-build"),
    (Found(None), Wish.NO_BUILD, "--no-build"),
]


@pytest.mark.parametrize(("found", "wish", "reason"), BUILDS)
def test_an_image_is_built_when_it_is_missing_or_not_its_sources(
    found: Found, wish: Wish, reason: str
) -> None:
    choice = choose_image("sha256:1", found, wish)

    assert choice.builds
    assert reason in choice.reason


@pytest.mark.parametrize(("found", "wish", "reason"), TAKES)
def test_an_image_is_taken_when_it_is_its_sources_or_somebody_elses(
    found: Found, wish: Wish, reason: str
) -> None:
    choice = choose_image("sha256:1", found, wish)

    assert not choice.builds
    assert reason in choice.reason


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

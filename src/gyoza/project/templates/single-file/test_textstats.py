"""An op is still a function: its test calls it."""

from __future__ import annotations

from textstats import Statistics, textstats


def test_headings_links_and_words_are_found() -> None:
    found = textstats("# One\n\nTwo [three](https://example.org/) *four*.\n")

    assert found == Statistics(["One"], ["https://example.org/"], 5)


def test_a_text_without_marks_has_words_only() -> None:
    assert textstats("just words") == Statistics([], [], 2)

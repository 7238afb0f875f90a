"""The function inside `examples/wordcount`, called directly: no container."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "wordcount"


def load_op() -> ModuleType:
    spec = importlib.util.spec_from_file_location("wordcount_op", EXAMPLE / "wordcount.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


wordcount = load_op()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("To be, or not to be", {"to": 2, "be": 2, "or": 1, "not": 1}),
        ("don't Don\u2019t", {"don't": 1, "don\u2019t": 1}),
        ("'tis 'quoted'", {"tis": 1, "quoted": 1}),
        ("route66 snake_case", {"route": 1, "snake": 1, "case": 1}),
        ("Ärger \u00e4rger \u043c\u0438\u0440", {"\u00e4rger": 2, "\u043c\u0438\u0440": 1}),
    ],
)
def test_a_word_is_a_run_of_letters_of_any_script_whatever_its_case(
    text: str, expected: dict[str, int]
) -> None:
    result = wordcount.count_words(text)

    assert dict(result.counts) == expected


def test_words_shorter_than_the_minimum_are_not_counted() -> None:
    result = wordcount.count_words("a bc def", min_length=2)

    assert set(result.counts) == {"bc", "def"}


def test_words_as_frequent_as_each_other_are_listed_alphabetically() -> None:
    result = wordcount.count_words("pear apple pear fig apple")

    assert result.top(2) == [{"word": "apple", "count": 2}, {"word": "pear", "count": 2}]


def test_a_limit_of_zero_lists_no_words() -> None:
    result = wordcount.count_words("one two")

    assert result.top(0) == []


def test_the_histogram_counts_occurrences_by_word_length() -> None:
    result = wordcount.count_words("a bb a ccc bb a")

    assert result.histogram() == "length\twords\n1\t3\n2\t2\n3\t1\n"


def test_progress_never_falls_and_ends_at_one_hundred() -> None:
    seen: list[int] = []

    wordcount.count_words("line\n" * 501, progress=seen.append)

    assert seen == sorted(seen)
    assert seen[-1] == 100


def test_the_expected_outputs_are_those_of_the_text_beside_them() -> None:
    text = (EXAMPLE / "texts" / "pride-and-prejudice.txt").read_text(encoding="utf-8")
    expected = json.loads((EXAMPLE / "expected" / "output.json").read_text(encoding="utf-8"))
    histogram = (EXAMPLE / "expected" / expected["histogram"]).read_text(encoding="utf-8")

    result = wordcount.count_words(text)

    assert result.counts.total() == expected["words"]
    assert len(result.counts) == expected["distinct"]
    assert result.top(10) == expected["top"]
    assert result.histogram() == histogram

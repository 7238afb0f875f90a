from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyoza.project.yaml_lines import parse


def value(text: str) -> Any:
    found = parse(text)
    assert found.problems == []
    return found.value


def problem(text: str) -> tuple[int, str]:
    found = parse(text)
    assert found.problems
    return found.problems[0].line, str(found.problems[0])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("2031-05-04", "2031-05-04"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        (".nan", ".nan"),
        ("12", 12),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("'12'", "12"),
        ('"true"', "true"),
    ],
)
def test_scalars_are_those_of_json_and_everything_else_is_text(written: str, meant: object) -> None:
    assert value(f"a: {written}\n") == {"a": meant}


def test_a_key_given_twice_is_refused_with_both_lines() -> None:
    assert problem("a: 1\nb: 2\na: 3\n") == (3, "a: given twice, first on line 1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &x 1\nb: *x\n", "an alias"),
        ("a: !!python/name:os.system x\n", "a tag"),
        ("a: !secret x\n", "a tag"),
        ("[1]: x\n", "must be text"),
        ("a: [1\n", "not YAML"),
        ("a: b: c\n", "not YAML"),
        ("a: \x00\n", "not YAML"),
        ("a: 1\n---\nb: 2\n", "not YAML"),
    ],
)
def test_what_surprises_people_is_refused(text: str, words: str) -> None:
    assert words in problem(text)[1]


def test_aliases_are_refused_before_they_can_stand_for_gigabytes() -> None:
    bomb = "a0: &a0 [x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 20)
    )

    assert "an alias" in problem(bomb)[1]


def test_depth_has_an_end() -> None:
    text = "".join(f"{' ' * n}a:\n" for n in range(80))

    assert "deeper" in problem(text)[1]


def test_a_value_knows_its_line() -> None:
    found = parse("a:\n  b:\n    - x\n    - y\n")

    assert found.line_of(("a", "b", "1")) == 4
    assert found.line_of(("a", "b", "absent")) == 2


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused_and_never_raises(text: str) -> None:
    parse(text)

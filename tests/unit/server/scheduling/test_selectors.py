from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyoza.server.scheduling.selectors import (
    BadSelector,
    all_match,
    parse,
    selector,
    tags_for,
)


@pytest.mark.parametrize(
    ("expression", "matching", "others"),
    [
        ("a100", ["a100"], ["A100", "", None]),
        ("", [""], ["x", None]),
        ("=!odd", ["!odd"], ["odd", None]),
        ("=in a,b", ["in a,b"], ["a", None]),
        ("!=eu", ["us", "", None], ["eu"]),
        ("in a, b", ["a", "b"], ["c", "a,b", None]),
        ("not in a,b", ["c", None], ["a", "b"]),
        (">=16", ["16", "16.5", "1e3"], ["15.9", "many", "nan", "inf", None]),
        (">16", ["17"], ["16", None]),
        ("<=16", ["16", "-3"], ["17", None]),
        ("< 16", ["8"], ["16", None]),
        ("*", ["", "x"], [None]),
        ("!", [None], ["", "x"]),
        ("inner", ["inner"], ["inn", None]),
        ("not", ["not"], [None]),
    ],
)
def test_an_expression_asks_for_some_values_and_not_for_others(
    expression: str, matching: list[str | None], others: list[str | None]
) -> None:
    wanted = parse(expression)

    assert [each for each in matching if not wanted.matches(each)] == []
    assert [each for each in others if wanted.matches(each)] == []


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (">=many", "expected a number behind >="),
        ("<", "expected a number behind <"),
        ("> inf", "expected a number behind >"),
        ("in ", "expected values with commas between"),
        ("in", "expected values with commas between"),
        ("not in a,,b", "such as not in a,b"),
        ("!eu", "expected a value, !=value, in a,b"),
        ("!=", "=value takes a value as it is"),
    ],
)
def test_what_begins_like_an_operator_and_is_none_says_what_was_expected(
    expression: str, expected: str
) -> None:
    with pytest.raises(BadSelector, match=r"^got '") as caught:
        parse(expression)

    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("a", "tag zone=a"),
        (">=16", "tag zone>=16"),
        ("in a,b", "tag zone in a,b"),
        ("*", "tag zone"),
        ("!", "no tag zone"),
    ],
)
def test_a_selector_reads_as_people_write_it(expression: str, said: str) -> None:
    assert parse(expression).text("zone") == said


def test_a_run_from_before_operators_means_what_it_meant() -> None:
    assert selector("!eu").matches("!eu")


@given(
    st.dictionaries(
        st.sampled_from("abc"),
        st.sampled_from(["x", "!=x", "in x,y", "not in x", ">=4", ">4", "<4", "<=4", "*", "!"]),
    )
)
def test_the_tags_that_are_suggested_are_those_that_were_asked_for(asked: dict[str, str]) -> None:
    selectors = tuple(sorted(asked.items()))

    assert all_match(selectors, tags_for(selectors))

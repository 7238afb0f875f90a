"""What the one JSON parser refuses, and that what it accepts comes back the same."""

from __future__ import annotations

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyoza.wire import strict_json

REFUSED = {
    "a NaN": ('{"a": NaN}', "NaN is not a JSON number"),
    "an infinity": ("[Infinity]", "Infinity is not a JSON number"),
    "a negative infinity": ("-Infinity", "-Infinity is not a JSON number"),
    "a number that overflows to infinity": ("[1e999]", "number 1e999 is too large"),
    "a duplicate key": ('{"a": 1, "b": 2, "a": 3}', "duplicate key 'a'"),
    "a duplicate key written with an escape": ('{"a": 1, "\\u0061": 2}', "duplicate key 'a'"),
    "a duplicate key deep inside": ('[[{"x": {"k": 1, "k": 1}}]]', "duplicate key 'k'"),
    "an escaped NUL": ('["\\u0000"]', "NUL"),
    "an escaped NUL in a key": ('{"\\u0000": 1}', "NUL"),
    "a raw NUL": ('["\x00"]', "control character"),
    "a lone high surrogate": ('["\\ud800"]', "lone surrogate"),
    "a lone low surrogate": ('["\\uDFFF x"]', "lone surrogate"),
    "a surrogate pair the wrong way round": ('["\\udc00\\ud800"]', "lone surrogate"),
    "a lone surrogate in a key": ('{"\\ud800": 1}', "lone surrogate"),
    "an integer of 64 bits and one": ("9223372036854775808", "does not fit in 64 bits"),
    "a negative integer too small": ("-9223372036854775809", "does not fit in 64 bits"),
    "an integer of thirty digits": ("123456789012345678901234567890", "does not fit in 64 bits"),
    "an integer of ten thousand digits": ("1" * 10_000, "does not fit in 64 bits"),
    "65 levels of arrays": ("[" * 65 + "]" * 65, "deeper than 64"),
    "65 levels of objects": ('{"a":' * 65 + "1" + "}" * 65, "deeper than 64"),
    "201 levels": ("[" * 201 + "]" * 201, "deeper than 64"),
    "a hundred thousand levels": ("[" * 100_000, "deeper than 64"),
    "nothing": ("", "not JSON"),
    "trailing text": ('{"a": 1} x', "not JSON"),
    "a trailing comma": ("[1,]", "not JSON"),
    "a comment": ("[1] // no", "not JSON"),
    "single quotes": ("{'a': 1}", "not JSON"),
    "a leading zero": ("[01]", "not JSON"),
    "a byte order mark": ("\ufeff1", "not JSON"),
    "an unclosed text": ('["abc', "not JSON"),
    "a raw line break in a text": ('["a\nb"]', "not JSON"),
}


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_it_refuses(text: str, words: str) -> None:
    with pytest.raises(strict_json.StrictJsonError, match=words):
        strict_json.loads(text.encode("utf-8", "surrogatepass"))


def test_bytes_that_are_not_utf8_are_refused_with_the_place() -> None:
    with pytest.raises(strict_json.StrictJsonError, match="byte 2 cannot be decoded"):
        strict_json.loads(b'["\xff"]')


def test_text_longer_than_the_limit_is_refused_with_both_numbers() -> None:
    with pytest.raises(strict_json.StrictJsonError, match="11 bytes, at most 10"):
        strict_json.loads(b'"123456789"', max_bytes=10)


def test_a_refusal_points_to_the_place() -> None:
    with pytest.raises(strict_json.StrictJsonError) as refusal:
        strict_json.loads('{"a/b": {"c~d": [1, "\\u0000"]}}')

    assert refusal.value.pointer == "/a~1b/c~0d/1"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 64 + "]" * 64,
        "9223372036854775807",
        "-9223372036854775808",
        '"\\ud83d\\ude00"',
        '"a \\\\u0000 that is only text"',
        "1e308",
        "-0.0",
        '{"": [null, true, false]}',
    ],
)
def test_the_edge_of_what_is_allowed_is_accepted(text: str) -> None:
    assert strict_json.loads(text) == json.loads(text)


_json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(strict_json.MIN_INTEGER, strict_json.MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    lambda children: (
        st.lists(children)
        | st.dictionaries(
            st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])), children
        )
    ),
    max_leaves=30,
)


@given(_json_values)
def test_what_is_written_is_read_back_the_same(value: object) -> None:
    again = strict_json.loads(strict_json.dumps(value))

    assert again == value
    assert repr(again) == repr(value)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_input_is_either_refused_or_read_as_a_value_that_can_be_written(
    text: bytes | str,
) -> None:
    with contextlib.suppress(strict_json.StrictJsonError):
        value = strict_json.loads(text)

        assert strict_json.loads(strict_json.dumps(value)) == value


@pytest.mark.parametrize(
    ("value", "pointer", "words"),
    [
        ({"a": [1.0, math.nan]}, "/a/1", "not a JSON number"),
        ({"a": math.inf}, "/a", "not a JSON number"),
        ([2**63], "/0", "64 bits"),
        ([10**5000], "/0", "64 bits"),
        (["\ud800"], "/0", "lone surrogate"),
        (["\x00"], "/0", "NUL"),
        ({"a": {1: 2}}, "/a", "key 1 is not a string"),
        ({"a": {1, 2}}, "/a", "a set has no JSON form"),
        ({"a": b"x"}, "/a", "a bytes has no JSON form"),
    ],
)
def test_a_value_without_a_strict_form_is_not_written(
    value: object, pointer: str, words: str
) -> None:
    with pytest.raises(strict_json.StrictJsonError, match=words) as refusal:
        strict_json.dumps(value)

    assert refusal.value.pointer == pointer


def test_a_value_that_contains_itself_is_refused_as_too_deep() -> None:
    value: list[object] = []
    value.append(value)

    with pytest.raises(strict_json.StrictJsonError, match="deeper than 64"):
        strict_json.dumps(value)

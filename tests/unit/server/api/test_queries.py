"""Query strings: typed, and strict about names."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.datastructures import QueryParams

from gyoza.server.api import queries
from gyoza.server.api.queries import DefinitionsQuery, LogsQuery, RunsQuery
from gyoza.server.errors import InvalidRequest
from gyoza.server.settings import Settings


def test_values_have_their_types() -> None:
    query = queries.parse(QueryParams("attempt=2&after=7&tail=10"), LogsQuery)

    assert query == LogsQuery(attempt=2, after=7, tail=10)


def test_a_repeatable_parameter_keeps_every_value() -> None:
    query = queries.parse(QueryParams("state=PENDING&state=FAILED&tag=a=b=c"), RunsQuery)

    assert query.state == ["PENDING", "FAILED"]
    assert queries.tags_of(query) == (("a", "b=c"),)


def test_a_flag_is_true_or_false() -> None:
    assert queries.parse(QueryParams("archived=true"), DefinitionsQuery).archived


@pytest.mark.parametrize(
    ("text", "pointer", "message"),
    [
        ("stat=PENDING", "stat", "did you mean 'state'"),
        ("op=a&op=b", "op", "more than once"),
        ("page_size=many", "page_size", "int"),
        ("page_size=-1", "page_size", ">= 0"),
        ("page_size=99999999999999999999", "page_size", "<= "),
    ],
)
def test_what_does_not_fit_is_refused_by_name(text: str, pointer: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as refusal:
        queries.parse(QueryParams(text), RunsQuery)

    assert refusal.value.faults[0].pointer == pointer


def test_a_tag_without_a_value_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="key=value"):
        queries.tags_of(RunsQuery(tag=["team"]))


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (7, 7), (10_000, 200)])
def test_a_page_has_the_default_size_or_at_most_the_cap(
    tmp_path: Path, asked: int, given: int
) -> None:
    assert queries.page_of(asked, Settings(data_dir=tmp_path)) == given

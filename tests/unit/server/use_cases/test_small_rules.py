from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gyoza.server.errors import InvalidInput, InvalidRequest
from gyoza.server.use_cases.idempotency import hash_of
from gyoza.server.use_cases.moments import microseconds, moment_of
from gyoza.server.use_cases.paging import PageQuery, cut_page, key_in, token_after
from gyoza.server.use_cases.tokens import attempt_token, is_token_of
from gyoza.wire.messages import Fault

NOON = datetime(2031, 5, 4, 12, tzinfo=UTC)


@given(st.text())
def test_a_page_token_names_its_key_exactly(key: str) -> None:
    try:
        key.encode()
    except UnicodeEncodeError:
        return

    assert key_in(PageQuery(token=token_after(key))) == key


@given(st.text(min_size=1))
@example("\x80")
@example("x")
def test_a_token_that_is_not_ours_is_refused_and_never_crashes(token: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        key_in(PageQuery(token=token))

    assert refused.value.faults[0].pointer == "page_token"


def test_no_token_is_the_first_page() -> None:
    assert key_in(PageQuery()) is None


def test_the_last_page_has_no_token() -> None:
    assert cut_page(["a", "b"], 2, str) == (["a", "b"], "")
    assert cut_page(["a", "b", "c"], 2, str) == (["a", "b"], token_after("b"))


def test_a_token_is_good_for_one_run_one_fence_and_one_cluster() -> None:
    token = attempt_token(b"secret", "run_a", 1)

    assert is_token_of(token, b"secret", "run_a", 1)
    assert not is_token_of(token, b"secret", "run_a", 2)
    assert not is_token_of(token, b"secret", "run_b", 1)
    assert not is_token_of(token, b"other", "run_a", 1)
    assert not is_token_of("ä", b"secret", "run_a", 1)


def test_parts_of_a_request_cannot_be_shifted_between_each_other() -> None:
    assert hash_of(b"ab", b"c") != hash_of(b"a", b"bc")


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_workers_time_is_never_after_its_report_nor_ages_before(t_us: int) -> None:
    assert NOON - timedelta(days=30) <= moment_of(t_us, NOON) <= NOON


def test_a_plausible_time_is_kept_to_the_microsecond() -> None:
    earlier = NOON - timedelta(microseconds=1)

    assert moment_of(microseconds(earlier), NOON) == earlier


def test_a_refusal_speaks_of_every_fault_but_shows_few() -> None:
    faults = [Fault(pointer=f"/{n}", message="no") for n in range(5)]

    assert str(InvalidInput(faults)) == "/0: no; /1: no; /2: no; and 2 more"


@pytest.mark.parametrize("error", [InvalidInput, InvalidRequest])
def test_a_fault_of_the_whole_body_is_called_body(error: type[InvalidInput]) -> None:
    assert str(error([Fault(pointer="", message="is empty")])) == "body: is empty"

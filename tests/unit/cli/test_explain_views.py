from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

from gyoza.cli.explain_views import show
from gyoza.cli.output import Output
from gyoza.models.timestamps import format_time
from tests.support.run_documents import RUN_ID, START


def at(seconds: float) -> str:
    return format_time(START + timedelta(seconds=seconds))


def an_attempt(**given: Any) -> dict[str, Any]:
    neutral = {
        "attempt": 1,
        "state": "FAILED",
        "reason": "OOM",
        "message": "killed",
        "worker_id": "wrk_1",
        "charged": True,
        "duration_ms": 12_000,
        "finished_at": at(0),
        "decision": None,
        "retry_at": None,
        "next": "end",
    }
    return {**neutral, **given}


def shown(*, hints: bool = False, **told: Any) -> str:
    out, err = io.StringIO(), io.StringIO()
    neutral = {"run_id": RUN_ID, "state": "PENDING", "summary": "no room"}
    show({**neutral, **told}, Output(out, err), START)
    return err.getvalue() if hints else out.getvalue()


def test_the_sentence_comes_first_and_what_is_unknown_is_not_spoken_of() -> None:
    assert shown() == f"{RUN_ID}  PENDING\n  no room\n"


def test_what_a_run_needs_is_told_in_the_servers_words() -> None:
    needs = {"cpu": 1, "ram_mb": 512, "vram_mb": 0, "selectors": {}, "text": "1 CPU, tag cores>=16"}

    assert shown(needs=needs) == f"{RUN_ID}  PENDING\n  no room\n\nNeeds  1 CPU, tag cores>=16\n"


def test_what_holds_it_back_stands_beside_the_state() -> None:
    rule = {"name": "key", "text": "full", "run_ids": ["run_a", "run_b"]}

    assert f"{RUN_ID}  PENDING (awaits key)" in shown(rule=rule)
    assert "Held by  run_a, run_b" in shown(rule=rule)
    assert f"{RUN_ID}  PENDING (never)" in shown(verdict="NEVER", rule=rule)


def test_a_start_is_told_as_how_far_away_it_is_with_its_basis() -> None:
    out = shown(start={"at": at(120), "basis": "once run_a ended; by how long such runs took"})

    assert "Starts  in about 2m 0s, at " in out
    assert "once run_a ended\n        by how long" in out


def test_an_unknown_start_says_why() -> None:
    out = shown(start={"at": None, "basis": "nothing is known"})

    assert "Starts  unknown: nothing is known" in out


def test_a_count_that_is_not_whole_says_so() -> None:
    first = [{"run_id": "run_a", "op": "fit", "owner": "ada", "priority": 7}]

    assert "Ahead  none" in shown(position={"ahead": 0, "exact": True, "first": []})
    out = shown(position={"ahead": 200, "exact": False, "first": first})
    assert "Ahead  more than 200 runs\nNext   run_a  fit, priority 7, ada" in out


def test_a_worker_is_kept_for_this_run_or_for_another() -> None:
    kept = {"name": "box", "run_id": RUN_ID, "giving_way": ["run_a"]}

    assert "worker box is kept for this run; run_a gives way to it" in shown(kept=kept)
    assert "kept for run_b\n" in shown(kept={**kept, "run_id": "run_b", "giving_way": []})


def test_each_worker_says_why_not_and_whether_it_ever_could() -> None:
    workers = [
        {"name": "a", "ever": True, "reasons": ["is LOST", "needs 2 CPU, 1 of 2 free"]},
        {"name": "bb", "ever": False, "reasons": ["has no GPU"]},
        {"name": "c", "ever": True, "reasons": []},
    ]

    lines = shown(workers=workers).splitlines()

    assert lines[-3:] == [
        "  a   is LOST; needs 2 CPU, 1 of 2 free",
        "  bb  has no GPU (never)",
        "  c   has room",
    ]


def test_a_change_comes_with_the_command_that_makes_it() -> None:
    change = {"text": "resume worker box", "worker": "box", "command": "gyoza worker resume box"}

    lines = shown(changes=[change]).splitlines()

    assert lines[-2:] == ["  - resume worker box (on box)", "      gyoza worker resume box"]
    assert "not every change was tried" in shown(hints=True, all_changes_tried=False)


def test_an_attempt_says_where_how_long_whose_fault_and_what_decided() -> None:
    first = an_attempt(next="retried", decision="attempt 1 of 2 failed", retry_at=at(20))
    second = an_attempt(
        attempt=2, reason="WORKER_LOST", charged=False, duration_ms=None, message="", next="by_hand"
    )

    lines = shown(attempts=[first, second]).splitlines()

    assert lines[-5:] == [
        "  1. FAILED (OOM), on wrk_1, after 12 s",
        "     killed",
        "     -> tried again: attempt 1 of 2 failed; after a pause of 20 s",
        "  2. FAILED (WORKER_LOST), on wrk_1, not charged",
        "     -> tried again by hand",
    ]


def test_an_attempt_that_nobody_has_begun_is_no_news() -> None:
    waits = an_attempt(state="PENDING", reason=None, worker_id=None, next="none")

    assert "Attempts" not in shown(attempts=[waits])

"""Dead children in a list of processes."""

from __future__ import annotations

from pathlib import Path

from gyoza.testing.zombies import dead_children


def a_process(proc: Path, pid: int, name: str, state: str, parent: int) -> None:
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) {state} {parent} 1 1 0 -1")


def test_only_dead_children_of_the_given_processes_are_found(tmp_path: Path) -> None:
    a_process(tmp_path, 10, "op", "S", 1)
    a_process(tmp_path, 11, "child", "Z", 10)
    a_process(tmp_path, 12, "alive", "R", 10)
    a_process(tmp_path, 13, "foreign", "Z", 99)

    assert [each.pid for each in dead_children({10}, tmp_path)] == [11]


def test_a_name_may_hold_blanks_and_parentheses(tmp_path: Path) -> None:
    a_process(tmp_path, 11, "a) Z 7 (b", "Z", 10)

    assert [each.name for each in dead_children({10}, tmp_path)] == ["a) Z 7 (b"]

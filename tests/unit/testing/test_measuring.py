"""What is made of looks at a container."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza.testing.cgroups import peak_memory_mb
from gyoza.testing.engine import Process
from gyoza.testing.measuring import Measured


def test_the_most_memory_of_all_looks_counts() -> None:
    measured = Measured()

    for used_mb in (3.0, 9.5, 4.0, None):
        measured.take_memory(used_mb)

    assert measured.peak_memory_mb == 9.5


def test_a_process_that_is_dead_at_one_look_only_is_no_zombie() -> None:
    measured = Measured()

    measured.take_processes([Process(7, 1, "Z", "child")])
    measured.take_processes([])
    measured.take_processes([Process(8, 1, "Z", "other")])

    assert measured.zombies == set()


def test_a_process_that_stays_dead_is_a_zombie() -> None:
    measured = Measured()

    measured.take_processes([Process(1, 0, "Ss", "init"), Process(7, 1, "Z", "child")])
    measured.take_processes([Process(7, 1, "Z+", "child")])

    assert measured.zombies == {"child"}
    assert measured.most_processes == 2


@pytest.mark.parametrize(
    "place",
    [
        "docker/abc/memory.peak",
        "system.slice/docker-abc.scope/memory.peak",
        "memory/docker/abc/memory.max_usage_in_bytes",
    ],
)
def test_the_kernels_own_count_is_found_where_engines_put_it(tmp_path: Path, place: str) -> None:
    file = tmp_path / place
    file.parent.mkdir(parents=True)
    file.write_text("3145728\n")

    assert peak_memory_mb("abc", tmp_path) == 3.0


def test_without_a_control_group_nothing_is_claimed(tmp_path: Path) -> None:
    assert peak_memory_mb("abc", tmp_path) is None

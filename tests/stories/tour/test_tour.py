"""The tour, as it is told: real processes, a real engine, real builds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.stories.stage import own_environment
from tests.stories.story import read_story
from tests.stories.tour.player import Player
from tests.support.engine import require_engine

BASE = os.environ.get("GYOZA_TEST_PYTHON_BASE", "gyoza-local/python:bookworm")  # noqa: TID251


@pytest.mark.docker
@pytest.mark.system
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_an_op_is_made_edited_deployed_and_run(tmp_path: Path) -> None:
    require_engine().close()
    lines: list[str] = []
    player = Player(tmp_path, {**own_environment(), "GYOZA_BASE_IMAGE": BASE}, lines.append)

    player.play(read_story(Path(__file__).with_name("tour.txt")))

    assert lines[0] == "$ gyoza init tour-hello"

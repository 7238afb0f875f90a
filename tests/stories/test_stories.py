"""Each story beside this file plays on a stage of its own."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from gyoza.cli.app import main
from gyoza.cli.context import Context, Streams
from tests.stories.stage import ALONE, FLEETS, a_stage
from tests.stories.story import Step, matches, read_story

STORIES = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_story(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    story = read_story(path)
    home = tmp_path / "home"
    home.mkdir()
    for name, text in story.files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(home)

    with a_stage(tmp_path, FLEETS.get(path.stem, ALONE)) as url:
        for step in story.steps:
            code, said = play(step, url, home)
            told = f"{path.name}:{step.line}: exit code {code}, said:\n" + "\n".join(said)
            assert code == step.code, told
            assert matches(step.answer, said), told


def play(step: Step, url: str, home: Path) -> tuple[int, list[str]]:
    out, err = io.StringIO(), io.StringIO()
    context = Context(
        streams=Streams(io.StringIO(step.stdin), out, err),
        environment={
            "GYOZA_SERVER_URL": url,
            "XDG_STATE_HOME": str(home / "state"),
            "GYOZA_DOCKER_HOST": "unix:///absent",
        },
    )
    code = main(step.words, context)
    said = out.getvalue().splitlines() + [f"! {line}" for line in err.getvalue().splitlines()]
    return int(code), said

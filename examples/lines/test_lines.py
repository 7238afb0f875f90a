"""Draws lines and finds them again, then looks at a real wall."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lines import Line, dominant_angle, lines
from PIL import Image as Pictures
from PIL import ImageDraw
from skimage import data

from gyoza.op import BadInput, Image

HERE = Path(__file__).parent
WALL = HERE / "photos" / "brick.png"


def drawn(folder: Path, *strokes: tuple[int, int, int, int]) -> Image:
    picture = Pictures.new("L", (300, 300), "black")
    for stroke in strokes:
        ImageDraw.Draw(picture).line(stroke, fill="white", width=12)
    picture.save(folder / "drawn.png")
    return Image(folder / "drawn.png")


@pytest.mark.parametrize(
    ("stroke", "angle"),
    [
        ((30, 150, 270, 150), 0),
        ((150, 30, 150, 270), 90),
        ((40, 260, 260, 40), 45),
        ((40, 40, 260, 260), 135),
    ],
)
def test_a_stroke_is_found_with_its_angle(
    tmp_path: Path, stroke: tuple[int, int, int, int], angle: float
) -> None:
    found = lines(drawn(tmp_path, stroke), sigma=2)

    assert found.dominant_angle is not None
    away = abs((found.dominant_angle - angle + 90) % 180 - 90)
    assert away < 2
    assert found.count == len(found.lengths) == len(found.angles) >= 2


def test_a_picture_without_lines_has_none(tmp_path: Path) -> None:
    found = lines(drawn(tmp_path))

    assert (found.count, found.lengths, found.dominant_angle) == (0, [], None)
    assert found.orientations == [0.0] * 18


def test_lines_come_longest_first_and_none_is_shorter_than_asked_for(tmp_path: Path) -> None:
    strokes = ((30, 60, 270, 60), (30, 150, 150, 150), (30, 240, 80, 240))
    found = lines(drawn(tmp_path, *strokes), sigma=2, min_length=100)

    assert found.lengths == sorted(found.lengths, reverse=True)
    assert found.lengths[-1] >= 99


def test_nearly_horizontal_lines_are_parallel_whichever_way_they_lean() -> None:
    leaning = [Line((0, 0), (100, 1)), Line((0, 10), (100, 9))]

    angle = dominant_angle(leaning)

    assert angle is not None
    assert min(angle, 180 - angle) < 0.1


def test_the_overlay_is_as_large_as_the_picture(tmp_path: Path) -> None:
    found = lines(drawn(tmp_path, (30, 150, 270, 150)))

    with Pictures.open(found.overlay.path) as overlay:
        assert (overlay.size, overlay.mode) == ((300, 300), "RGB")


def test_what_is_no_picture_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")

    with pytest.raises(BadInput, match=r"a\.png is no picture"):
        lines(Image(tmp_path / "a.png"))


def test_the_photograph_is_the_one_that_scikit_image_ships() -> None:
    with Pictures.open(WALL) as wall:
        assert (data.brick() == wall).all()


def test_the_rows_of_a_brick_wall_are_found() -> None:
    expected = json.loads((HERE / "expected" / "output.json").read_text())

    found = lines(Image(WALL))

    assert found.count == pytest.approx(expected["count"], rel=0.1)
    assert found.dominant_angle == pytest.approx(expected["dominant_angle"], abs=1)
    # The wall stands on its side: its rows run upwards, and nothing runs across them.
    along = sum(found.orientations[each] for each in (8, 9, 10))
    assert along > 0.95 * sum(found.orientations)

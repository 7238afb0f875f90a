"""Draws a picture, and looks at what the op makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image as Pictures
from PIL import ImageDraw
from thumbnail import thumbnail

from gyoza.op import Image


@pytest.fixture
def square(tmp_path: Path) -> Image:
    picture = Pictures.new("RGB", (400, 200), "black")
    ImageDraw.Draw(picture).rectangle((100, 50, 299, 149), fill="white")
    picture.save(tmp_path / "square.png")
    return Image(tmp_path / "square.png")


def test_the_longer_side_has_the_size_that_was_asked_for(square: Image) -> None:
    made = thumbnail(square, size=100)

    assert (made.width, made.height) == (100, 50)
    with Pictures.open(made.small.path) as small:
        assert small.size == (100, 50)


def test_edges_are_where_black_meets_white(square: Image) -> None:
    made = thumbnail(square, size=400)

    with Pictures.open(made.edges.path) as edges:
        assert edges.getpixel((200, 100)) == 0
        assert edges.getpixel((100, 100)) == 255

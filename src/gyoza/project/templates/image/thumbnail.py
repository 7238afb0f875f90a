"""Make a small picture of a large one, and find its edges: files in, files out, with Pillow."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from PIL import Image as Pictures
from PIL import ImageFilter

from gyoza.op import Field, Image, op, progress


@dataclass
class Pictured:
    """What comes out.

    Attributes:
        small: The picture, no larger than asked for.
        edges: Its edges, white on black, of the same size.
        width: Width of both, in pixels.
        height: Height of both, in pixels.
    """

    small: Image
    edges: Image
    width: int
    height: int


@op
def thumbnail(picture: Image, size: Annotated[int, Field(ge=16, le=4096)] = 256) -> Pictured:
    """Make a small picture of a large one, and find its edges.

    Args:
        picture: In any format that Pillow reads.
        size: Its longer side will have at most so many pixels.
    """
    folder = Path(tempfile.mkdtemp())
    with Pictures.open(picture.path) as opened:
        small = opened.convert("RGB")
    small.thumbnail((size, size))
    small.save(folder / "small.png")
    progress(0.5, "made smaller")
    small.convert("L").filter(ImageFilter.FIND_EDGES).save(folder / "edges.png")
    progress(1, "edges found")
    return Pictured(
        Image(folder / "small.png"), Image(folder / "edges.png"), small.width, small.height
    )

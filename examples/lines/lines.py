"""Find straight lines in a photograph: rows of bricks or of plants, edges of roofs and fields.

`find_lines` is the function on arrays; `lines` is the op: a picture in, numbers and a picture out.
Edges are Canny's, lines the probabilistic Hough transform's, both by scikit-image.
"""

from __future__ import annotations

import math
import tempfile
from colorsys import hsv_to_rgb
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image as Pictures
from PIL import ImageDraw
from skimage.feature import canny
from skimage.transform import probabilistic_hough_line

from gyoza.op import BadInput, Field, Image, log, op, progress

BIN_DEGREES = 10
BINS = 180 // BIN_DEGREES
MAX_PIXELS = 50_000_000
VOTES = 10
SEED = 20260101  # the transform draws edge points by chance: the same picture, the same lines


@dataclass(frozen=True)
class Line:
    """A straight line between two points, in pixels from the upper left corner."""

    start: tuple[int, int]
    end: tuple[int, int]

    @property
    def length(self) -> float:
        """In pixels."""
        return math.dist(self.start, self.end)

    @property
    def angle(self) -> float:
        """Against the horizontal, counter-clockwise, from 0 to under 180 degrees."""
        across, down = self.end[0] - self.start[0], self.end[1] - self.start[1]
        return math.degrees(math.atan2(-down, across)) % 180


@dataclass
class Lines:
    """What was found.

    Attributes:
        count: How many lines.
        lengths: Of each line in pixels, the longest first.
        angles: Of each line in degrees against the horizontal, 0 to under 180, in the same order.
        orientations: Pixels of line by angle, in 18 bins around 0, 10, ... 170 degrees.
        dominant_angle: Of the fullest bin and its neighbours, by length; null without a line.
        overlay: The picture with its lines, coloured by angle.
    """

    count: int
    lengths: list[float]
    angles: list[float]
    orientations: list[float]
    dominant_angle: float | None
    overlay: Image


def find_lines(grey: np.ndarray, sigma: float, min_length: int, max_gap: int) -> list[Line]:
    """Find lines, the longest first.

    Args:
        grey: Brightness from 0 to 1, rows by columns.
        sigma: Standard deviation of the blur before looking for edges, in pixels.
        min_length: Shorter lines are left out, in pixels.
        max_gap: Longest gap that a line may bridge, in pixels.
    """
    edges = canny(grey, sigma=sigma)
    progress(0.4, f"{int(edges.sum())} edge pixels")
    found = probabilistic_hough_line(
        edges, threshold=VOTES, line_length=min_length, line_gap=max_gap, rng=SEED
    )
    lines = [Line((int(x0), int(y0)), (int(x1), int(y1))) for (x0, y0), (x1, y1) in found]
    return sorted(lines, key=lambda line: (-line.length, line.start, line.end))


def orientations(lines: list[Line]) -> list[float]:
    """How many pixels of line there are by angle; a bin is centred on its angle."""
    bins = [0.0] * BINS
    for line in lines:
        bins[round(line.angle / BIN_DEGREES) % BINS] += line.length
    return bins


def dominant_angle(lines: list[Line]) -> float | None:
    """The mean angle, by length, around the fullest bin; None without a line."""
    if not lines:
        return None
    bins = orientations(lines)
    fullest = bins.index(max(bins)) * BIN_DEGREES
    across = down = 0.0
    for line in lines:
        away = (line.angle - fullest + 90) % 180 - 90
        if abs(away) <= 1.5 * BIN_DEGREES:
            # Lines at 179 and at 1 degree are nearly parallel: doubled, their angles are, too.
            across += line.length * math.cos(math.radians(2 * line.angle))
            down += line.length * math.sin(math.radians(2 * line.angle))
    return math.degrees(math.atan2(down, across)) / 2 % 180


def draw(grey: Pictures.Image, lines: list[Line]) -> Pictures.Image:
    """The picture, dimmed, with its lines over it; each angle has its colour."""
    overlay = grey.point(lambda value: value * 0.6).convert("RGB")
    pen = ImageDraw.Draw(overlay)
    for line in lines:
        red, green, blue = (round(255 * part) for part in hsv_to_rgb(line.angle / 180, 1, 1))
        pen.line((line.start, line.end), fill=(red, green, blue), width=2)
    return overlay


@op
def lines(
    image: Image,
    sigma: Annotated[float, Field(ge=0.5, le=20)] = 3.0,
    min_length: Annotated[int, Field(ge=5, le=10_000)] = 100,
    max_gap: Annotated[int, Field(ge=0, le=200)] = 5,
) -> Lines:
    """Find straight lines in a photograph.

    Args:
        image: A photograph, in any format that Pillow reads.
        sigma: How much to blur before looking for edges, in pixels; more finds fewer, larger ones.
        min_length: Shorter lines are left out, in pixels.
        max_gap: Longest gap that a line may bridge, in pixels.
    """
    grey = opened(image)
    progress(0.1, f"{grey.width} x {grey.height} pixels")
    found = find_lines(np.asarray(grey) / 255.0, sigma, min_length, max_gap)
    progress(0.8, f"{len(found)} lines")
    target = Path(tempfile.mkdtemp()) / "overlay.png"
    draw(grey, found).save(target)
    progress(1.0, "drawn")
    log.info("done", lines=len(found))
    angle = dominant_angle(found)
    return Lines(
        count=len(found),
        lengths=[round(line.length, 1) for line in found],
        angles=[round(line.angle, 1) for line in found],
        orientations=[round(pixels, 1) for pixels in orientations(found)],
        dominant_angle=None if angle is None else round(angle, 1),
        overlay=Image(target),
    )


def opened(image: Image) -> Pictures.Image:
    """The picture in shades of grey."""
    try:
        with Pictures.open(image.path) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise BadInput(f"{image.name} has more than {MAX_PIXELS} pixels; make it smaller")
            return picture.convert("L")
    except OSError as error:
        raise BadInput(f"{image.name} is no picture that can be read: {error}") from None

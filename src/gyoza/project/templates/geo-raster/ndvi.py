"""Vegetation index of a scene: an op that works through a raster block by block, with numpy.

A scene is an `.npy` file of two bands, red and near infrared, as reflectances; one value that the
sensor could not see is NaN. For GeoTIFF, add `rasterio` and read the bands with it.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from gyoza.op import BadInput, Field, File, op, progress

RED, INFRARED = 0, 1
BANDS = 2
DIMENSIONS = 3
ROWS_PER_BLOCK = 256


@dataclass
class Vegetation:
    """What comes out.

    Attributes:
        index: NDVI of every pixel, from -1 to 1, NaN where nothing was seen; an `.npy` file.
        mean: Its mean over what was seen; None when nothing was.
        green_share: Share of the seen pixels above the threshold, from 0 to 1.
    """

    index: File
    mean: float | None
    green_share: float


@op
def ndvi(
    scene: Annotated[File, Field(description="Red and near infrared, as an .npy file (2, h, w)")],
    threshold: Annotated[float, Field(ge=-1, le=1)] = 0.4,
) -> Vegetation:
    """Vegetation index (NDVI) of a scene.

    Args:
        threshold: Pixels with a higher index count as green.
    """
    bands = np.load(scene.path, mmap_mode="r", allow_pickle=False)
    if bands.ndim != DIMENSIONS or bands.shape[0] != BANDS:
        raise BadInput(f"scene has the shape {bands.shape}, expected (2, height, width)")
    path = Path(tempfile.mkdtemp()) / "ndvi.npy"
    height, width = bands.shape[1:]
    index = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(height, width))
    seen, green, total = 0, 0, 0.0
    for top in range(0, height, ROWS_PER_BLOCK):
        rows = slice(top, min(top + ROWS_PER_BLOCK, height))
        index[rows] = block = index_of(bands[RED, rows], bands[INFRARED, rows])
        known = block[~np.isnan(block)]
        seen += known.size
        green += int((known > threshold).sum())
        total += float(known.sum(dtype=np.float64))
        progress(rows.stop, total=height)
    index.flush()
    return Vegetation(File(path), total / seen if seen else None, green / seen if seen else 0.0)


def index_of(red: np.ndarray, infrared: np.ndarray) -> np.ndarray:
    """(infrared - red) / (infrared + red); NaN where both are 0 or one is not known."""
    red, infrared = red.astype(np.float32), infrared.astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (infrared - red) / (infrared + red)

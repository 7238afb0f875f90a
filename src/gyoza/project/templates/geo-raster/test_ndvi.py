"""Makes a scene with a meadow and a lake, and looks at the index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ndvi import ndvi

from gyoza.op import File


@pytest.fixture
def scene(tmp_path: Path) -> File:
    red, infrared = np.full((600, 40), 0.05), np.full((600, 40), 0.45)
    infrared[300:] = 0.02  # below the shore, water swallows the infrared
    red[0, 0] = np.nan
    np.save(tmp_path / "scene.npy", np.stack([red, infrared]).astype(np.float32))
    return File(tmp_path / "scene.npy")


def test_a_meadow_is_green_and_a_lake_is_not(scene: File) -> None:
    found = ndvi(scene)

    index = np.load(found.index.path)
    assert index[100, 20] == pytest.approx(0.8)
    assert index[500, 20] < 0
    assert found.green_share == pytest.approx(0.5, abs=0.001)


def test_what_was_not_seen_has_no_index_and_does_not_count(scene: File) -> None:
    found = ndvi(scene)

    index = np.load(found.index.path)
    assert np.isnan(index[0, 0])
    assert found.mean == pytest.approx(np.nanmean(index), abs=1e-6)

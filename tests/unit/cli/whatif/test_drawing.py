from __future__ import annotations

from xml.etree import ElementTree as ET

from gyoza.cli.whatif.drawing import sparkline, svg
from gyoza.server.scheduling.snapshot import Shape
from gyoza.server.whatif.figures import figures_of
from gyoza.server.whatif.fleet import Box, Fleet
from gyoza.server.whatif.load import LoadRun, recorded
from gyoza.server.whatif.replay import replay


def test_a_sparkline_reaches_the_top_where_a_value_does() -> None:
    assert sparkline([0, 0.5, 1], 1) == " ▄█"


def test_a_little_is_more_than_nothing() -> None:
    assert sparkline([0, 0.01], 1) == " ▁"


def test_many_values_share_cells() -> None:
    assert sparkline([0.0, 1.0] * 60, 1) == "▄" * 60


def test_an_empty_queue_is_a_blank_line() -> None:
    assert sparkline([0.0, 0.0], 0.0) == "  "


def test_a_picture_has_a_panel_for_the_queue_and_each_resource_with_a_line_a_fleet() -> None:
    load = recorded("load", [LoadRun(0, 60, Shape(1, 500)), LoadRun(0, 60, Shape(1, 500))])
    fleets = [Fleet("a <b>", (Box("x", 1, 1000),)), Fleet("c", (Box("x", 2, 1000, (8000,)),))]
    named = [(fleet.name, figures_of(replay(load, fleet))) for fleet in fleets]

    picture = ET.fromstring(svg("title & more", named))

    space = "{http://www.w3.org/2000/svg}"
    texts = [each.text for each in picture.iter(f"{space}text")]
    assert len(list(picture.iter(f"{space}polyline"))) == 2 * 4
    assert {"title & more", "a <b>", "c", "runs waiting", "CPU used", "VRAM used"} <= set(texts)

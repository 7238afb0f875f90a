"""Queue and use over time, drawn: one line of blocks for a terminal, or an SVG picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from gyoza.cli.output import duration
from gyoza.server.whatif.figures import Figures

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_MOST_CELLS: Final = 60
_COLOURS: Final = ("#1f6feb", "#d1495b", "#2a9d4a", "#8a4fd0", "#c98a00")
_WIDTH: Final = 900
_PANEL: Final = 150
_GAP: Final = 50
_LEFT: Final = 70
_TOP: Final = 60


def sparkline(values: Sequence[float], top: float) -> str:
    """Return the values as blocks, at most 60 of them, the highest where a value reaches the top.

    What is above nothing shows at least the lowest block.
    """
    if not top:
        return " " * min(len(values), _MOST_CELLS)
    size = -(-len(values) // _MOST_CELLS)
    cells = [values[at : at + size] for at in range(0, len(values), size)]
    return "".join(_block(sum(cell) / len(cell) / top) for cell in cells)


def _block(part: float) -> str:
    highest = len(_BLOCKS) - 1
    least = 1 if part > 1e-9 else 0  # noqa: PLR2004 - what is left of rounding
    return _BLOCKS[min(highest, max(least, round(part * highest)))]


def svg(title: str, named: Sequence[tuple[str, Figures]]) -> str:
    """Return a picture: the queue and each resource below one another, one line a fleet."""
    resources = list(dict.fromkeys(name for _, each in named for name in each.course.used))
    span_s = max((each.makespan_s for _, each in named), default=0.0) or 1.0
    deepest = max((max(each.course.queued) for _, each in named), default=0.0) or 1.0
    parts = [_text(_LEFT, 24, title, size=16), *_legend([name for name, _ in named])]
    lines = [[(each, each.course.queued) for _, each in named]]
    lines += [[(each, each.course.used.get(name, ())) for _, each in named] for name in resources]
    tops = [("runs waiting", deepest, f"{deepest:,.0f}")]
    tops += [(f"{name.upper()} used", 1.0, "100%") for name in resources]
    for at, (some, (label, top, words)) in enumerate(zip(lines, tops, strict=True)):
        parts += _panel(_TOP + at * (_PANEL + _GAP), (label, words), some, (span_s, top))
    height = _TOP + len(lines) * (_PANEL + _GAP)
    parts += _time_axis(span_s, height - _GAP)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
        ' font-family="sans-serif" font-size="12">\n'
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _legend(names: Sequence[str]) -> Iterator[str]:
    for at, name in enumerate(names):
        x = _LEFT + at * (_WIDTH - _LEFT) / len(names)
        yield f'<rect x="{x:.0f}" y="36" width="12" height="4" fill="{_colour(at)}"/>'
        yield _text(x + 18, 42, name)


def _panel(
    y: float,
    labels: tuple[str, str],
    lines: Sequence[tuple[Figures, Sequence[float]]],
    scale: tuple[float, float],
) -> Iterator[str]:
    label, highest = labels
    span_s, top = scale
    right, bottom = _WIDTH - 20, y + _PANEL
    yield _text(_LEFT, y - 4, label)
    yield _text(_LEFT - 6, y + 10, highest, anchor="end")
    yield _text(_LEFT - 6, bottom, "0", anchor="end")
    yield f'<path d="M{_LEFT},{y} V{bottom} H{right}" fill="none" stroke="#888"/>'
    per_s = (right - _LEFT) / span_s
    for at, (figures, values) in enumerate(lines):
        part = figures.course.part_s * per_s
        points = (
            f"{_LEFT + (place + 0.5) * part:.1f},{bottom - _PANEL * value / top:.1f}"
            for place, value in enumerate(values)
        )
        colour = _colour(at)
        yield f'<polyline fill="none" stroke="{colour}" points="{" ".join(points)}"/>'


def _time_axis(span_s: float, y: float) -> Iterator[str]:
    right = _WIDTH - 20
    for quarter in range(5):
        x = _LEFT + (right - _LEFT) * quarter / 4
        words = duration(span_s * quarter / 4) if quarter else "0"
        yield _text(x, y + 18, words, anchor="middle")


def _text(x: float, y: float, words: str, *, size: int = 12, anchor: str = "start") -> str:
    place = f'x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}"'
    return f"<text {place}>{escape(words)}</text>"


def _colour(at: int) -> str:
    return _COLOURS[at % len(_COLOURS)]

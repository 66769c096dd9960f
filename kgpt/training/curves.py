"""Curves as SVG, for a page that needs nothing else.

In: points. Out: an `<svg>` element with axes; its colours are CSS classes of the page.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 800, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 10, 28
MOST_POINTS = 1500
"""Points drawn of a curve; of more, every n-th."""


@dataclass(frozen=True)
class Curve:
    """Points (step, value) under a name, drawn in the colour of a CSS class."""

    label: str
    color: str
    points: Sequence[tuple[float, float]]


def chart(curves: Sequence[Curve], title: str) -> str:
    """The curves in one picture."""
    steps = [x for curve in curves for x, _ in curve.points]
    values = [y for curve in curves for _, y in curve.points]
    across, up = ticks(0.0, max(steps)), ticks(min(values), max(values))
    low, high = min(min(values), up[0]), max(max(values), up[-1])
    right = max(max(steps), 1.0)

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / right

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / ((high - low) or 1.0))

    lines = [
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{_number(tick)}</text>'
        for tick in up
    ]
    lines += [
        f'<text x="{x(tick):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{_number(tick)}</text>'
        for tick in across
    ]
    for curve in curves:
        every = math.ceil(len(curve.points) / MOST_POINTS)
        kept = [*curve.points[::every], curve.points[-1]]
        path = " L".join(f"{x(step):.1f},{y(value):.1f}" for step, value in kept)
        lines.append(f'<path class="{curve.color}" d="M{path}"/>')
    name = html.escape(title)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}">{"".join(lines)}</svg>'
    )


def ticks(low: float, high: float) -> list[float]:
    """About five round numbers within `low` and `high`."""
    if high <= low:
        return [low]
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)] or [low]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"

"""A part of the screen as an SVG picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.segment import Segment, Segments
from textual.screen import Screen
from textual.widget import Widget


def svg_of(screen: Screen[Any], widgets: Sequence[Widget], title: str) -> str:
    """The lines of the screen from the first widget's top to the last one's bottom, as they are drawn now."""
    top, bottom = widgets[0].region.y, widgets[-1].region.bottom
    left = min(widget.region.x for widget in widgets)
    right = max(widget.region.right for widget in widgets)
    console = Console(
        width=right - left,
        height=bottom - top,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        record=True,
        legacy_windows=False,
        safe_box=False,
    )
    strips = [strip.crop(left, right) for strip in screen._compositor.render_strips()[top:bottom]]
    lines = [segment for strip in strips for segment in (*strip, Segment.line())]
    console.print(Segments(lines), end="")
    return console.export_svg(title=title)

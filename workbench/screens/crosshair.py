"""The crosshair of the big chart: the row nearest to an x, and what all curves are worth there.

In: a recording and the lines that are drawn. Out: where it stands, and what it reads as a line of text.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from textual.content import Content

from workbench import wording
from workbench.palette import Look
from workbench.recording import ChartData, Line, Recording
from workbench.screens.watch_texts import reading
from workbench.tail import is_number


class Crosshair:
    """One place on the x axis, or none."""

    def __init__(self) -> None:
        self.x: float | None = None
        self.step: int | None = None
        """The step of the row that it stands on."""
        self.text = ""
        """What it reads of the watched run."""

    def point(self, x: float | None, recording: Recording | None, data: ChartData | None) -> None:
        """Move to the row nearest to an x; without one, or without rows, nowhere."""
        self.x = self.step = None
        if x is None or recording is None or data is None:
            return
        row = recording.row_at(x, data.view.x_axis)
        self.x = row.get("x")
        if self.x is not None:
            step = row.get("step")
            self.step = int(step) if is_number(step) else None
            is_log, view = data.view.is_log, data.view
            smoothed = value_at(data.smoothed, self.x, is_log) if view.smoothing else None
            validation = value_at(data.validation, self.x, is_log, outlasts=True)
            self.text = reading(row, smoothed, validation)

    def line(self, curves: Mapping[str, ChartData], looks: Mapping[str, Look]) -> Content:
        """What it reads; of several runs first the smoothed losses, each beside its mark."""
        x = self.x or 0.0
        losses = [
            Content.assemble(
                (f"{look.mark} {name} ", look.color),
                wording.decimal(value_at(curves[name].smoothed, x, curves[name].view.is_log), 4),
            )
            for name, look in looks.items()
            if name in curves
        ]
        return Content("   ").join([*losses, Content.styled(self.text, "bold")])


def neighbour(line: Line, x: float, direction: int) -> float:
    """X of the next point to the right (1) or the left (-1); x itself at the end."""
    side = line.x[line.x > x] if direction > 0 else line.x[line.x < x]
    return float(side.min() if direction > 0 else side.max()) if len(side) else x


def value_at(line: Line, x: float, is_log: bool, outlasts: bool = False) -> float | None:
    """The value of a line at its last point up to an x; None before its first and after its last.

    An evaluation `outlasts` its step: it holds until the next.
    """
    place = int(np.searchsorted(line.x, x, side="right")) - 1
    if place < 0 or not np.isfinite(line.y[place]) or (x > line.x[-1] and not outlasts):
        return None
    return float(10 ** line.y[place] if is_log else line.y[place])

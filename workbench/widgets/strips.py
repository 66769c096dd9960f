"""Learning rate, gradient norm, speed and validation gap as small curves below the big one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.content import Content
from textual.widgets import Static

from kgpt.language import N_, _
from workbench import wording
from workbench.widgets.colors import muted
from workbench.widgets.writing import write

STRIPS = (
    ("learning_rate", N_("learning rate"), N_("rate"), wording.small, "$secondary"),
    ("gradient_norm", N_("gradient norm"), N_("norm"), wording.small, "$warning"),
    ("tokens_per_second", N_("tokens/s"), N_("tok/s"), wording.short, "$success"),
    ("gap", N_("validation gap"), N_("gap"), wording.small, "$accent"),
)
SPACE = 2


class Strips(Static):
    """Two lines: figures, and below each its curve."""

    _series: Mapping[str, Sequence[float]] = {}

    def on_resize(self) -> None:
        """Another width, other names and longer curves."""
        self.show(self._series)

    def show(self, series: Mapping[str, Sequence[float]]) -> None:
        """Show the series of the window."""
        self._series = series
        width = max(12, ((self.size.width or 80) + SPACE) // len(STRIPS) - SPACE)
        labels, lines = [], []
        for name, title, short_title, figure, style in STRIPS:
            values = series.get(name, ())
            value = figure(values[-1]) if values else wording.UNKNOWN
            title = _(title) if len(_(title)) + 1 + len(value) <= width else _(short_title)
            label = Content.assemble(muted(f"{title} "), value)
            labels.append(label.pad_right(max(0, width - len(title) - 1 - len(value))))
            line = wording.sparkline(values, width)
            lines.append(Content.assemble((line, style), " " * (width - len(line))))
        between = Content(" " * SPACE)
        write(self, Content("\n").join([between.join(labels), between.join(lines)]))

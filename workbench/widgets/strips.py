"""Learning rate, gradient norm and speed as three small curves below the big one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.content import Content
from textual.widgets import Static

from workbench import wording
from workbench.widgets.run_details import muted

STRIPS = (
    ("learning_rate", "learning rate", wording.small, "$secondary"),
    ("gradient_norm", "gradient norm", wording.small, "$warning"),
    ("tokens_per_second", "tokens/s", wording.short, "$success"),
)


class Strips(Static):
    """Two lines: figures, and below each its curve."""

    def show(self, series: Mapping[str, Sequence[float]]) -> None:
        """Show the series of the window."""
        width = max(12, (self.size.width or 80) // len(STRIPS) - 2)
        labels, lines = [], []
        for name, title, write, style in STRIPS:
            values = series.get(name, ())
            value = write(values[-1]) if values else wording.UNKNOWN
            labels.append(
                Content.assemble(muted(f"{title} "), value).pad_right(
                    max(0, width - len(title) - 1 - len(value))
                )
            )
            line = wording.sparkline(values, width)
            lines.append(Content.assemble((line, style), " " * (width - len(line))))
        self.update(Content("\n").join([Content("   ").join(labels), Content("   ").join(lines)]))

"""The loss curve: training loss raw and smoothed, validation, the best checkpoint, breaks.

In: `ChartData`. Out: a chart in braille, with zoom and pan by keys, wheel and drag; `ScaleChanged` tells the window.
"""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message
from textual_hires_canvas import Canvas
from textual_plot import HiResMode, PlotWidget
from textual_plot.plot_widget import LinePlot, map_coordinate_to_hires_pixel

from workbench import braille, curves
from workbench.recording import ChartData, Line
from workbench.widgets.axes import LogFormatter, ShortFormatter

ZOOM = 0.5
PAN_CELLS = 6
MAX_MARKS = 60
"""More evaluations than this are drawn as a line without a mark on each."""


class LossChart(PlotWidget, inherit_bindings=False):  # type: ignore[call-arg]
    """A `PlotWidget` with one way to draw."""

    BINDINGS: ClassVar[list[BindingType]] = []
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--raw",
        "chart--smoothed",
        "chart--validation",
        "chart--best",
        "chart--broken",
    }
    DEFAULT_CSS = """
    LossChart {
        & > .plot--axis { color: $foreground 20%; }
        &:focus > .plot--axis { color: $primary 45%; }
        & > .plot--tick { color: $foreground-muted; text-style: none; }
        & > .chart--raw { color: $primary 38%; }
        & > .chart--smoothed { color: $primary; }
        & > .chart--validation { color: $accent; }
        & > .chart--best { color: $accent; text-style: bold; }
        & > .chart--broken { color: $error; }
    }
    """

    margin_top = 0
    margin_bottom = 1
    margin_left = 7

    class Resized(Message):
        """Another width: the lines must be thinned out anew."""

    def __init__(self) -> None:
        super().__init__(id="chart")
        self._data: ChartData | None = None
        self.set_x_formatter(ShortFormatter())

    def show(self, data: ChartData | None) -> None:
        """Draw the data, keeping the window where the user has put it."""
        self._data = data
        self.clear()
        if data is None:
            return
        self.set_y_formatter(LogFormatter() if data.view.is_log else ShortFormatter())
        if data.view.smoothing > 0:
            self._draw(data.raw, "chart--raw")
            self._draw(data.smoothed, "chart--smoothed")
        else:
            self._draw(data.raw, "chart--smoothed")
        self._draw_validation(data)
        for x in data.broken:
            self.add_v_line(float(x), self._style("chart--broken"))

    def on_resize(self) -> None:
        """Tell the width."""
        self.post_message(self.Resized())

    def notify_style_update(self) -> None:
        """Draw in the colours of the new theme."""
        super().notify_style_update()
        if self.is_mounted and self._data is not None:
            self.show(self._data)

    @property
    def plot_columns(self) -> int:
        """Cells between the axes."""
        width = self.size.width or self.app.size.width - 2  # hidden, it will be about that wide
        return max(10, int(width - self.margin_left - 2))

    @property
    def window(self) -> tuple[float, float] | None:
        """The part of the x axis that the user has chosen; None for all of it."""
        return None if self._auto_x_min else (self._x_min, self._x_max)

    def zoom(self, direction: int) -> None:
        """Closer (1), further (-1), or everything (0)."""
        if direction == 0:
            self.action_reset_scales()
        else:
            factor = ZOOM if direction > 0 else -ZOOM / (1 + ZOOM)
            middle = (self._x_min + self._x_max) / 2
            self._zoom(middle, 0.0, factor, zoom_x=True, zoom_y=False)

    def pan(self, direction: int) -> None:
        """To the left (-1) or to the right (1)."""
        self._pan(-direction * PAN_CELLS, 0)

    def _draw(self, line: Line, component: str) -> None:
        for x, y in curves.segments(line.x, line.y):
            if len(x) == 1:
                self.scatter(
                    x, y, marker_style=self._style(component), hires_mode=HiResMode.BRAILLE
                )
            else:
                self.plot(x, y, line_style=self._style(component), hires_mode=HiResMode.BRAILLE)

    def _render_plot(self) -> None:
        """Draw all at once: textual-plot asks for a refresh with every cell."""
        with self.query_one("#plot", Canvas).batch_refresh():
            super()._render_plot()

    def _render_line_plot(self, dataset: LinePlot) -> None:
        """Draw a line through numpy; textual-plot takes a Python step for each of its dots."""
        canvas = self.query_one("#plot", Canvas)
        limits = (self._x_min, self._x_max, self._y_min, self._y_max)
        x, y = map_coordinate_to_hires_pixel(
            dataset.x, dataset.y, *limits, region=self._scale_rectangle
        )
        for column, row, character in braille.draw(x, y, *canvas.size):
            canvas.set_pixel(column, row, character, dataset.line_style)

    def _draw_validation(self, data: ChartData) -> None:
        self._draw(data.validation, "chart--validation")
        if len(data.validation.x) <= MAX_MARKS:
            style = self._style("chart--validation")
            self.scatter(data.validation.x, data.validation.y, marker="•", marker_style=style)
        if data.best is not None:
            x, y = data.best
            self.scatter([x], [y], marker="★", marker_style=self._style("chart--best"))

    def _style(self, component: str) -> str:
        return str(self.get_component_rich_style(component))

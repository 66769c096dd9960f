"""The loss curve: training loss raw and smoothed, validation, the best checkpoint, breaks, events, a crosshair.

In: `ChartData` of one run, and of those drawn over it. Out: a chart in braille, with zoom and pan by keys, wheel and
drag; `ScaleChanged` tells the window, `Pointed` where the mouse is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Grid
from textual.events import MouseMove
from textual.message import Message
from textual_hires_canvas import Canvas
from textual_plot import HiResMode, PlotWidget
from textual_plot.plot_widget import Legend, LinePlot, map_coordinate_to_hires_pixel

from workbench import braille, curves
from workbench.events import EventLook
from workbench.palette import Look
from workbench.recording import ChartData, Line
from workbench.widgets.axes import LogFormatter, ShortFormatter
from workbench.widgets.chart_canvas import ChartCanvas
from workbench.widgets.colors import rich_style

ZOOM = 0.5
PAN_CELLS = 6
MAX_MARKS = 60
"""More evaluations than this are drawn as a line without a mark on each."""


@dataclass(frozen=True)
class Overlay:
    """Another run's curves, and how it looks."""

    data: ChartData
    look: Look


class LossChart(PlotWidget, inherit_bindings=False):  # type: ignore[call-arg]
    """A `PlotWidget` with one way to draw."""

    BINDINGS: ClassVar[list[BindingType]] = []
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--raw",
        "chart--smoothed",
        "chart--validation",
        "chart--best",
        "chart--broken",
        "chart--cursor",
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
        & > .chart--cursor { color: $foreground 60%; }
    }
    """

    margin_top = 0
    margin_bottom = 1
    margin_left = 7

    class Resized(Message):
        """Another width: the lines must be thinned out anew."""

    class Pointed(Message):
        """The mouse has come to rest on another column."""

        def __init__(self, x: float) -> None:
            super().__init__()
            self.x = x

    def __init__(self) -> None:
        super().__init__(id="chart")
        self._data: ChartData | None = None
        self._look: Look | None = None
        self._overlays: Sequence[Overlay] = ()
        self._marks: Sequence[tuple[float, EventLook]] = ()
        self._cursor: float | None = None
        self._pointed_column = -1
        self.set_x_formatter(ShortFormatter())

    def compose(self) -> ComposeResult:
        """The chart and the numbers around it."""
        with Grid():
            for name in ("margin-top", "margin-left", "plot", "margin-bottom"):
                yield ChartCanvas(1, 1, id=name)
        yield Legend(id="legend")

    def show(
        self,
        data: ChartData | None,
        look: Look | None = None,
        overlays: Sequence[Overlay] = (),
        marks: Sequence[tuple[float, EventLook]] = (),
    ) -> None:
        """Draw the data, keeping the window where the user has put it.

        With a `look`, the run is drawn in its colour, as one among several. `marks` are events along the bottom.
        """
        self._data, self._look, self._overlays, self._marks = data, look, overlays, marks
        self.clear()
        if data is None:
            return
        self.set_y_formatter(LogFormatter() if data.view.is_log else ShortFormatter())
        for overlay in overlays:
            self._draw_run(overlay.data, overlay.look)
        if look is not None:
            self._draw_run(data, look)
        else:
            self._draw_alone(data)
        for x in data.broken:
            self.add_v_line(float(x), self._style("chart--broken"))

    def _draw_alone(self, data: ChartData) -> None:
        if data.view.smoothing > 0:
            self._draw(data.raw, self._style("chart--raw"))
            self._draw(data.smoothed, self._style("chart--smoothed"))
        else:
            self._draw(data.raw, self._style("chart--smoothed"))
        self._draw_validation(data, self._style("chart--validation"), "•")
        if data.best is not None:
            x, y = data.best
            self.scatter([x], [y], marker="★", marker_style=self._style("chart--best"))

    def _draw_run(self, data: ChartData, look: Look) -> None:
        self._draw(data.smoothed, look.color)
        self._draw_validation(data, look.color, look.mark)

    def point(self, x: float | None) -> None:
        """Put the crosshair at an x, or take it away."""
        if x != self._cursor:
            self._cursor = x
            self._rerender()

    def column_width(self) -> float:
        """How much of the x axis lies under one cell."""
        return float(self._x_max - self._x_min) / self.plot_columns

    def limits(self) -> tuple[float, float]:
        """Left and right end of the x axis."""
        return self._x_min, self._x_max

    def scroll_to_x(self, right: float) -> None:
        """Move the window so that it ends there, as wide as it is."""
        self.set_xlimits(right - (self._x_max - self._x_min), right)

    def on_mouse_move(self, event: MouseMove) -> None:
        """Tell where the mouse points, once a column."""
        canvas = self.query_one("#plot", Canvas)
        column = int(event.screen_x - canvas.region.x)
        is_inside = canvas.region.contains_point((int(event.screen_x), int(event.screen_y)))
        if is_inside and not event.button and column != self._pointed_column:
            self._pointed_column = column
            x, _ = self.get_coordinate_from_pixel(column, 1)
            if self._x_min <= x <= self._x_max:
                self.post_message(self.Pointed(float(x)))

    def on_resize(self) -> None:
        """Tell the width."""
        self.post_message(self.Resized())

    def notify_style_update(self) -> None:
        """Draw in the colours of the new theme."""
        super().notify_style_update()
        if self.is_mounted and self._data is not None:
            self.show(self._data, self._look, self._overlays, self._marks)

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

    def _draw(self, line: Line, style: str) -> None:
        for x, y in curves.segments(line.x, line.y):
            if len(x) == 1:
                self.scatter(x, y, marker_style=style, hires_mode=HiResMode.BRAILLE)
            else:
                self.plot(x, y, line_style=style, hires_mode=HiResMode.BRAILLE)

    def _draw_validation(self, data: ChartData, style: str, mark: str) -> None:
        self._draw(data.validation, style)
        if len(data.validation.x) <= MAX_MARKS:
            self.scatter(data.validation.x, data.validation.y, marker=mark, marker_style=style)

    def _render_plot(self) -> None:
        """Draw all at once: textual-plot asks for a refresh with every cell."""
        canvas = self.query_one("#plot", Canvas)
        with canvas.batch_refresh():
            super()._render_plot()
            if self._data is not None and canvas._canvas_size is not None:
                self._render_marks(canvas)
                self._render_cursor(canvas)

    def _render_marks(self, canvas: Canvas) -> None:
        """The events along the lower edge; of several in one cell, the last."""
        bottom = self._scale_rectangle.bottom
        for x, look in self._marks:
            column = self._column_of(x)
            if column is not None:
                style = str(rich_style(self.app, look.color))
                canvas.set_pixel(column, bottom, look.mark, style)

    def _render_cursor(self, canvas: Canvas) -> None:
        column = None if self._cursor is None else self._column_of(self._cursor)
        if column is None:
            return
        style, region = self._style("chart--cursor"), self._scale_rectangle
        for row in range(region.y, region.bottom):
            if canvas.get_pixel(column, row)[0] == " ":
                canvas.set_pixel(column, row, "│", style)

    def _column_of(self, x: float) -> int | None:
        """The column of the canvas in which an x lies; None outside of the window."""
        if not self._x_min <= x <= self._x_max or self._x_min == self._x_max:
            return None
        column, _ = self.get_pixel_from_coordinate(x, self._y_min)
        return min(int(column), int(self._scale_rectangle.right) - 1)

    def _update_legend(self) -> None:
        """No names inside the chart: textual-plot would lay out the whole screen with every line that is drawn."""

    def _render_line_plot(self, dataset: LinePlot) -> None:
        """Draw a line through numpy; textual-plot takes a Python step for each of its dots."""
        canvas = self.query_one("#plot", Canvas)
        limits = (self._x_min, self._x_max, self._y_min, self._y_max)
        x, y = map_coordinate_to_hires_pixel(
            dataset.x, dataset.y, *limits, region=self._scale_rectangle
        )
        for column, row, character in braille.draw(x, y, *canvas.size):
            canvas.set_pixel(column, row, character, dataset.line_style)

    def _style(self, component: str) -> str:
        return str(self.get_component_rich_style(component))

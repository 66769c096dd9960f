"""How the user sees the curves of the Watch screen: axis, scale, smoothing, window, crosshair.

In: keys, wheel, drag and pointer. Out: a `View` that the followers compute lines for, and the legend above the chart.
"""

from __future__ import annotations

from dataclasses import replace

from textual.widgets import Static

from kgpt.language import _
from workbench.curves import SMOOTHINGS, X_AXES
from workbench.history import nearest_smoothing
from workbench.recording import View
from workbench.screens.crosshair import Crosshair, neighbour
from workbench.screens.watch_texts import legend
from workbench.screens.watched_run import WatchedRun
from workbench.widgets.loss_chart import LossChart
from workbench.widgets.writing import write


class ChartView(WatchedRun):
    """The chart and the line above it; the subclass has composed them."""

    def __init__(self) -> None:
        super().__init__()
        self.crosshair = Crosshair()
        self.view = View()
        self._follows = False
        """The window moves along with the newest step."""

    def on_mount(self) -> None:
        """Take up the view of the last session."""
        settings = self.workbench.settings
        self.view = View(
            x_axis=next(axis for axis in X_AXES if axis == settings.x_axis),
            smoothing=nearest_smoothing(settings.smoothing),
            is_log=settings.is_log,
        )

    def see_all(self) -> None:
        """Everything in view, and no crosshair."""
        self.query_one(LossChart).zoom(0)
        self.view, self._follows = self.view.whole(), False
        self.point(None)

    def look(self) -> None:
        """Have the lines computed as they are to be seen."""
        run, chart = self.run, self.query_one(LossChart)
        self.view = replace(self.view, columns=chart.plot_columns)
        best = next((c.step for c in run.checkpoints if c.is_best), run.best_step) if run else None
        self.workbench.follower.look(self.view, best)
        self.workbench.crowd.follow(self.overlaid_folders(), self.view)

    def show_legend(self) -> None:
        """What is drawn, and how; with a crosshair, what it reads."""
        follower, looks, run = self.workbench.follower, self.looks(), self.run
        line = self.query_one("#legend", Static)
        if self.crosshair.x is not None:
            own = {run.name: follower.data} if run and follower.data else {}
            write(line, self.crosshair.line({**own, **self.workbench.crowd.data}, looks))
            return
        is_reading = follower.is_reading
        write(line, legend(follower.data, self.view, is_reading, looks, self._follows))

    def keep_at_the_end(self) -> None:
        """Move the window along with the newest step, where the user wants that."""
        data, chart = self.workbench.follower.data, self.query_one(LossChart)
        if not self._follows or data is None or data.last_x is None or self.view.left is None:
            return
        if data.last_x != self.view.right:
            chart.scroll_to_x(data.last_x)
            left, right = chart.limits()
            self._change(left=left, right=right)

    def on_loss_chart_resized(self) -> None:
        """Another width takes another thinning."""
        self.look()

    def on_plot_widget_scale_changed(self) -> None:
        """The window has been moved by wheel, drag or key."""
        window = self.query_one(LossChart).window
        left, right = window or (None, None)
        data = self.workbench.follower.data
        last = data.last_x if data else None
        self._follows = self._follows and right is not None and last is not None and right >= last
        self._change(left=left, right=right)

    def _change(self, **changes: object) -> None:
        self.view = replace(self.view, **changes)  # type: ignore[arg-type]
        self.show_legend()
        self.look()

    def _change_and_remember(self, **changes: object) -> None:
        self._change(**changes)
        settings = self.workbench.settings
        settings.x_axis, settings.is_log = self.view.x_axis, self.view.is_log
        settings.smoothing = self.view.smoothing

    # === The crosshair ===

    def on_loss_chart_pointed(self, event: LossChart.Pointed) -> None:
        """The mouse takes the crosshair along."""
        self.point(event.x)

    def action_crosshair(self, direction: int) -> None:
        """Move the crosshair by a column; the first time, to the newest row."""
        chart, data = self.query_one(LossChart), self.workbench.follower.data
        if data is None or data.last_x is None:
            return
        left, right = chart.limits()
        x = self.crosshair.x
        start = min(right, data.last_x) if x is None else x
        step = 0.0 if x is None else direction * chart.column_width()
        self.point(min(max(start + step, left), right))
        if step and self.crosshair.x == start:  # rows lie further apart than columns
            self.point(neighbour(data.raw, start, direction))

    def point(self, x: float | None) -> None:
        """Put the crosshair at the row nearest to an x, and read it; None takes it away."""
        follower = self.workbench.follower
        self.crosshair.point(x, follower.recording, follower.data)
        self.query_one(LossChart).point(self.crosshair.x)
        self.show_legend()

    @property
    def step_in_hand(self) -> int | None:
        """The step under the crosshair."""
        return self.crosshair.step

    # === How to see it ===

    def action_x_axis(self) -> None:
        """The next x axis, with everything in view."""
        following = X_AXES[(X_AXES.index(self.view.x_axis) + 1) % len(X_AXES)]
        self.see_all()
        self._change_and_remember(x_axis=following)

    def action_log(self) -> None:
        """Logarithmic loss on or off."""
        self._change_and_remember(is_log=not self.view.is_log)

    def action_smooth(self, direction: int) -> None:
        """More or less smoothing."""
        nearest = min(SMOOTHINGS, key=lambda weight: abs(weight - self.view.smoothing))
        place = SMOOTHINGS.index(nearest) + direction
        self._change_and_remember(smoothing=SMOOTHINGS[max(0, min(place, len(SMOOTHINGS) - 1))])

    def action_zoom(self, direction: int) -> None:
        """Zoom the x axis."""
        self.query_one(LossChart).zoom(direction)

    def action_pan(self, direction: int) -> None:
        """Move along the x axis."""
        self.query_one(LossChart).pan(direction)

    def action_follow(self) -> None:
        """Keep the window at the newest step, or leave it where it is."""
        self._follows = not self._follows and self.view.left is not None
        self.keep_at_the_end()
        self.show_legend()

    def action_copy_path(self) -> None:
        """Copy what the crosshair reads; without one, the path of this run."""
        if self.crosshair.x is not None:
            self.workbench.copy(self.crosshair.text, _("what the crosshair reads"))
            return
        self.workbench.copy_run_path(self.run.name if self.run else None)

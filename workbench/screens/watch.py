"""Screen 2: one run as it learns."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from kgpt.runs import RunFolder
from workbench import wording
from workbench.catalog import RunSummary
from workbench.curves import SMOOTHINGS, X_AXES
from workbench.recording import ChartData, View
from workbench.screens.base import WorkbenchScreen
from workbench.screens.runs import empty_state
from workbench.widgets.bindings import bindings_of
from workbench.widgets.loss_chart import LossChart
from workbench.widgets.run_details import muted
from workbench.widgets.run_header import RunHeader
from workbench.widgets.side_panel import SidePanel
from workbench.widgets.strips import Strips


class WatchScreen(WorkbenchScreen):
    """Head, chart, strips, samples and log of one run."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("watch")]
    AUTO_FOCUS = "#chart"
    place = "watch"

    def compose_body(self) -> ComposeResult:
        """From the top: what it does, how it learns, what it writes."""
        yield Static(id="empty")
        with Vertical(id="watch-body"):
            yield RunHeader()
            yield Static(id="legend")
            yield LossChart()
            yield Static(id="waiting")
            yield Strips()
            yield SidePanel()

    def on_mount(self) -> None:
        """Take up the view of the last session."""
        settings = self.workbench.settings
        self._view = View(
            x_axis=next(axis for axis in X_AXES if axis == settings.x_axis),
            smoothing=settings.smoothing,
            is_log=settings.is_log,
        )
        self.set_interval(1, self._show_head)

    def on_screen_resume(self) -> None:
        """Look again."""
        self.workbench.follower.pause(False)
        super().on_screen_resume()

    def on_screen_suspend(self) -> None:
        """Nobody looks: nothing is computed."""
        self.workbench.follower.pause(True)

    # === Showing ===

    @property
    def run(self) -> RunSummary | None:
        """The run that is watched: the chosen one, else the liveliest."""
        app = self.workbench
        return app.catalog.get(app.chosen_run or "") or app.default_run()

    def show_runs(self) -> None:
        """Follow the chosen run, and bring the head up to date."""
        self.show_note()
        run = self.run
        self.query_one("#empty").display = run is None
        self.query_one("#watch-body").display = run is not None
        if run is None:
            self.query_one("#empty", Static).update(
                empty_state(str(self.workbench.catalog.root), self.workbench.is_read_only)
            )
            return
        follower = self.workbench.follower
        if follower.folder is None or follower.folder.path != run.path:
            self.query_one(LossChart).zoom(0)
            self._view = self._view.whole()
            follower.follow(RunFolder(run.path))
            self.show_recording()
        self._look()
        self._show_head()

    def _look(self) -> None:
        run, chart = self.run, self.query_one(LossChart)
        self._view = replace(self._view, columns=chart.plot_columns)
        best = next((c.step for c in run.checkpoints if c.is_best), run.best_step) if run else None
        self.workbench.follower.look(self._view, best)

    def _show_head(self) -> None:
        run = self.run
        self.query_one(RunHeader).show(run, self.workbench.clock())
        if run is not None:
            data = self.workbench.follower.data
            is_waiting = data is None or data.is_empty
            self.query_one("#waiting").display = is_waiting
            self.query_one(LossChart).display = not is_waiting
            self.query_one("#waiting", Static).update(waiting_text(run, self.workbench.clock()))

    def show_recording(self) -> None:
        """Draw what the follower has read and computed."""
        follower = self.workbench.follower
        data = follower.data
        self.query_one(LossChart).show(data)
        self.query_one(Strips).show(data.strips if data else {})
        self.query_one(SidePanel).show(follower.recording)
        self.query_one("#legend", Static).update(legend(data, self._view, follower.is_reading))
        self._show_head()

    def on_loss_chart_resized(self) -> None:
        """Another width takes another thinning."""
        self._look()

    def on_plot_widget_scale_changed(self) -> None:
        """The window has been moved by wheel, drag or key."""
        window = self.query_one(LossChart).window
        left, right = window or (None, None)
        self._change(left=left, right=right)

    def _change(self, **changes: object) -> None:
        self._view = replace(self._view, **changes)  # type: ignore[arg-type]
        self.query_one("#legend", Static).update(
            legend(self.workbench.follower.data, self._view, self.workbench.follower.is_reading)
        )
        self._look()

    def _change_and_remember(self, **changes: object) -> None:
        self._change(**changes)
        settings = self.workbench.settings
        settings.x_axis, settings.is_log = self._view.x_axis, self._view.is_log
        settings.smoothing = self._view.smoothing

    # === Actions ===

    def action_x_axis(self) -> None:
        """The next x axis, with everything in view."""
        following = X_AXES[(X_AXES.index(self._view.x_axis) + 1) % len(X_AXES)]
        self.query_one(LossChart).zoom(0)
        self._change_and_remember(x_axis=following, left=None, right=None)

    def action_log(self) -> None:
        """Logarithmic loss on or off."""
        self._change_and_remember(is_log=not self._view.is_log)

    def action_smooth(self, direction: int) -> None:
        """More or less smoothing."""
        nearest = min(SMOOTHINGS, key=lambda weight: abs(weight - self._view.smoothing))
        place = SMOOTHINGS.index(nearest) + direction
        self._change_and_remember(smoothing=SMOOTHINGS[max(0, min(place, len(SMOOTHINGS) - 1))])

    def action_zoom(self, direction: int) -> None:
        """Zoom the x axis."""
        self.query_one(LossChart).zoom(direction)

    def action_pan(self, direction: int) -> None:
        """Move along the x axis."""
        self.query_one(LossChart).pan(direction)

    def action_maximise(self) -> None:
        """The chart alone, and back."""
        self.toggle_class("maximised")

    def action_tab(self, name: str) -> None:
        """Show samples or log."""
        self.remove_class("maximised")
        self.query_one(SidePanel).tab = name

    def action_sample(self, direction: str) -> None:
        """Walk through the samples."""
        self.query_one(SidePanel).move(1 if direction == "later" else -1)

    def action_other_run(self, direction: int) -> None:
        """Watch a neighbour of this run."""
        names = [run.name for run in self.workbench.catalog.summaries if not run.problem]
        run = self.run
        if run is not None and run.name in names:
            place = (names.index(run.name) + direction) % len(names)
            self.workbench.chosen_run = names[place]
            self.show_runs()

    def action_generate(self) -> None:
        """Write with this run."""
        if self.run is not None:
            self.workbench.open_run("generate", self.run.name)

    def action_copy_path(self) -> None:
        """Copy the path of this run."""
        self.workbench.copy_run_path(self.run.name if self.run else None)

    def go_back(self) -> bool:
        """Leave the chart alone mode; whether it was on."""
        was_maximised = self.has_class("maximised")
        self.remove_class("maximised")
        return was_maximised


def legend(data: ChartData | None, view: View, is_reading: bool) -> Content:
    """The line above the chart."""
    smoothing = f"smoothed {view.smoothing:g}" if view.smoothing else "not smoothed"
    scale = "log" if view.is_log else "linear"
    parts = [
        muted(f"loss, {scale} · x {view.x_axis}"),
        Content.assemble(("━━ ", "$primary"), f"train ({smoothing})"),
    ]
    if data is not None and len(data.validation.x):
        parts.append(Content.assemble(("─•─ ", "$accent"), "validation"))
    if data is not None and data.best:
        parts.append(Content.assemble(("★ ", "$accent"), "best"))
    if data is not None and len(data.broken):
        parts.append(Content.assemble(("│ ", "$error"), ("not a number", "$error")))
    if view.left is not None:
        parts.append(Content.styled("zoomed, 0 shows all", "$warning"))
    if is_reading:
        parts.append(Content.styled("reading…", "$accent"))
    return Content("   ").join(parts)


def waiting_text(run: RunSummary, now: float) -> Content:
    """In place of the chart while there is nothing to draw."""
    look = wording.look(run.state)
    return Content.assemble(
        (f"{look.dot} {look.word}\n\n", f"bold ${look.color}"),
        muted(wording.situation(run, now) + "\n"),
        muted(
            "The curve begins with the first step." if run.is_live else "There is no curve to show."
        ),
    )

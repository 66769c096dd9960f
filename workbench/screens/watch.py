"""Screen 2: one run as it learns, and others over it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.timer import Timer
from textual.widgets import Static

from kgpt.runs import RunFolder
from workbench.palette import Look
from workbench.run_summary import RunSummary
from workbench.screens.chart_view import ChartView
from workbench.screens.runs import empty_state
from workbench.screens.watch_texts import banner, waiting_text
from workbench.widgets.bindings import bindings_of
from workbench.widgets.divider import Divider
from workbench.widgets.log_pane import LogPane
from workbench.widgets.loss_chart import LossChart, Overlay
from workbench.widgets.run_header import RunHeader
from workbench.widgets.side_panel import SidePanel
from workbench.widgets.strips import Strips
from workbench.widgets.writing import write

PATIENCE_SECONDS = 0.1
"""How long curves that are computed wait for those of the runs beside them: each frame costs time."""
GPU_SECONDS = 3
"""How often the GPU's memory is read while a trainer is at work."""


class WatchScreen(ChartView):
    """Head, chart, strips, and tabs with what else there is of one run."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("watch")]
    AUTO_FOCUS = "#chart"
    place = "watch"
    _drawn_looks: Mapping[str, Look] = {}
    _patience: Timer | None = None

    def compose_body(self) -> ComposeResult:
        """From the top: what it does, how it learns, what it writes."""
        yield Static(id="empty")
        with Vertical(id="watch-body"):
            yield RunHeader()
            yield Static(id="banner")
            yield Static(id="legend")
            yield LossChart()
            yield Static(id="waiting")
            yield Strips()
            yield Divider("SidePanel", "height", 3, 14, self.workbench.settings.watch_pane)
            yield SidePanel()

    def on_mount(self) -> None:
        """The clocks."""
        self.set_interval(1, self._show_head)
        self.set_interval(GPU_SECONDS, self._look_at_gpu)

    def on_screen_resume(self) -> None:
        """Look again."""
        self.workbench.follower.pause(False)
        self.workbench.crowd.pause(False)
        super().on_screen_resume()

    def on_screen_suspend(self) -> None:
        """Nobody looks: nothing is computed."""
        self.workbench.follower.pause(True)
        self.workbench.crowd.pause(True)

    # === Showing ===

    def show_runs(self) -> None:
        """Follow the chosen run, and bring the head up to date."""
        self.show_note()
        run = self.run
        self.query_one("#empty").display = run is None
        self.query_one("#watch-body").display = run is not None
        if run is None:
            app = self.workbench
            text = empty_state(str(app.catalog.root), app.is_read_only)
            write(self.query_one("#empty", Static), text)
            return
        follower = self.workbench.follower
        if follower.folder is None or follower.folder.path != run.path:
            self._turn_to(run)
        self.look()
        if self.looks() != self._drawn_looks:
            self._draw()
        self._show_head()
        self.query_one(SidePanel).show_run(run, self.events(), self.workbench.clock())

    def _turn_to(self, run: RunSummary) -> None:
        self.see_all()
        self.workbench.follower.follow(RunFolder(run.path))
        if run.state in ("crashed", "failed"):
            self.query_one(SidePanel).tab = "log"
        self._draw()

    def _show_head(self) -> None:
        run = self.run
        self.query_one(RunHeader).show(run, self.workbench.clock())
        if run is None:
            return
        data = self.workbench.follower.data
        is_waiting = data is None or data.is_empty
        self.query_one("#waiting").display = is_waiting
        self.query_one(LossChart).display = not is_waiting
        write(self.query_one("#waiting", Static), waiting_text(run, self.workbench.clock()))
        text = banner(run, next(reversed(self.broken_steps()), None))
        self.query_one("#banner").display = text is not None
        write(self.query_one("#banner", Static), text or "")

    def show_recording(self) -> None:
        """Draw what the followers have read and computed: all runs at once, unless one keeps the others waiting."""
        app = self.workbench
        if not (app.follower.is_behind or app.crowd.is_behind):
            self._draw()
        elif self._patience is None:
            self._patience = self.set_timer(PATIENCE_SECONDS, self._draw)

    def _draw(self) -> None:
        if self._patience is not None:
            self._patience.stop()
            self._patience = None
        follower = self.workbench.follower
        data, looks, crowd = follower.data, self.looks(), self.workbench.crowd.data
        self._drawn_looks = looks
        overlays = [Overlay(crowd[name], look) for name, look in looks.items() if name in crowd]
        run = self.run
        look = looks.get(run.name) if run else None
        self.query_one(LossChart).show(data, look, overlays, self.marks(self.view.x_axis))
        self._show_strips()
        self.query_one(SidePanel).show(follower.recording, self.words_of_the_dead())
        if run is not None:
            self.query_one(SidePanel).show_run(run, self.events(), self.workbench.clock())
        self.keep_at_the_end()
        self.show_legend()
        self._show_head()

    def _look_at_gpu(self) -> None:
        run = self.run
        if self.is_current and run is not None and run.pid is not None:
            self.workbench.machine.watch_gpu(run.pid)

    def show_machine(self) -> None:
        """The GPU's memory has been read."""
        self._show_strips()

    def _show_strips(self) -> None:
        data, run = self.workbench.follower.data, self.run
        series = dict(data.strips) if data else {}
        memory = self.workbench.machine.gpu_memory(run.pid if run else None)
        if memory:
            series.setdefault("gpu_memory", memory)
        self.query_one(Strips).show(series)

    # === Below the chart ===

    def action_metric_page(self, direction: str) -> None:
        """Turn to other metrics below the chart."""
        self.query_one(Strips).turn(1 if direction == "next" else -1)

    def action_maximise(self) -> None:
        """The chart alone, and back."""
        self.toggle_class("maximised")

    def action_tab(self, name: str) -> None:
        """Show one of the panes below the chart."""
        self.remove_class("maximised")
        self.query_one(SidePanel).tab = name

    def action_sample(self, direction: str) -> None:
        """Walk through the samples."""
        self.query_one(SidePanel).move(1 if direction == "later" else -1)

    def action_sample_at(self, index: int) -> None:
        """Go to one of the samples."""
        self.query_one(SidePanel).go_to(index)

    def action_filter_log(self) -> None:
        """Show only lines of the log that have a text."""
        self.action_tab("log")
        self.query_one(LogPane).filter()

    def action_wrap_log(self) -> None:
        """Wrap long lines of the log, or not."""
        self.action_tab("log")
        self.query_one(LogPane).wrap()

    def go_back(self) -> bool:
        """Take away the crosshair, the filter of the log, the chart alone: one of them; whether there was one."""
        if self.crosshair.x is not None:
            self.point(None)
            return True
        if self.query_one(LogPane).end_filter():
            self.query_one(LossChart).focus()
            return True
        was_maximised = self.has_class("maximised")
        self.remove_class("maximised")
        return was_maximised

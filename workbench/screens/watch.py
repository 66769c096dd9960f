"""Screen 2: one run as it learns, and others over it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from kgpt.language import _
from kgpt.runs import RunFolder
from workbench import housekeeping, wording
from workbench.catalog import RunSummary
from workbench.curves import SMOOTHINGS, X_AXES
from workbench.events import Event, EventLook, events_of
from workbench.history import nearest_smoothing
from workbench.launcher import last_words
from workbench.palette import Look
from workbench.recording import Line, View
from workbench.screens.curve_files import CurveFiles
from workbench.screens.dialogs import AskScreen
from workbench.screens.runs import empty_state
from workbench.screens.watch_texts import banner, legend, reading, waiting_text
from workbench.widgets.bindings import bindings_of
from workbench.widgets.log_pane import LogPane
from workbench.widgets.loss_chart import LossChart, Overlay
from workbench.widgets.run_header import RunHeader
from workbench.widgets.side_panel import SidePanel
from workbench.widgets.strips import Strips
from workbench.widgets.writing import write


class WatchScreen(CurveFiles):
    """Head, chart, strips, and tabs with what else there is of one run."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("watch")]
    AUTO_FOCUS = "#chart"
    place = "watch"

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
            yield SidePanel()

    def on_mount(self) -> None:
        """Take up the view of the last session."""
        settings = self.workbench.settings
        self._view = View(
            x_axis=next(axis for axis in X_AXES if axis == settings.x_axis),
            smoothing=nearest_smoothing(settings.smoothing),
            is_log=settings.is_log,
        )
        self._cursor: float | None = None
        self._readout = ""
        self._follows = False
        self._drawn_looks: dict[str, Look] = {}
        self._last_words: tuple[tuple[str, str], list[str]] = (("", ""), [])
        self.set_interval(1, self._show_head)

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

    @property
    def run(self) -> RunSummary | None:
        """The run that is watched: the chosen one, else the liveliest."""
        app = self.workbench
        return app.catalog.get(app.chosen_run or "") or app.default_run()

    @property
    def run_in_hand(self) -> RunSummary | None:
        """The run that is watched."""
        return self.run

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
        self._look()
        if self._looks() != self._drawn_looks:
            self.show_recording()
        self._show_head()
        self.query_one(SidePanel).show_run(run, self._events(), self.workbench.clock())

    def _turn_to(self, run: RunSummary) -> None:
        self.query_one(LossChart).zoom(0)
        self._view, self._follows = self._view.whole(), False
        self._point(None)
        self.workbench.follower.follow(RunFolder(run.path))
        if run.state in ("crashed", "failed"):
            self.query_one(SidePanel).tab = "log"
        self.show_recording()

    def _look(self) -> None:
        run, chart = self.run, self.query_one(LossChart)
        self._view = replace(self._view, columns=chart.plot_columns)
        best = next((c.step for c in run.checkpoints if c.is_best), run.best_step) if run else None
        self.workbench.follower.look(self._view, best)
        self.workbench.crowd.follow(self.overlaid_folders(), self._view)

    def overlaid_folders(self) -> list[RunFolder]:
        """The runs to draw over the one that is watched; those that are gone are passed over."""
        app, watched = self.workbench, self.run
        found = (app.catalog.get(name) for name in app.overlaid)
        return [
            RunFolder(run.path)
            for run in found
            if run is not None and not run.problem and run != watched
        ]

    def _looks(self) -> dict[str, Look]:
        """How each run is drawn; empty for a run alone."""
        run, others = self.run, [folder.name for folder in self.overlaid_folders()]
        if run is None or not others:
            return {}
        app = self.workbench
        chosen = [name for name in app.overlaid if name in (*others, run.name)]
        looks = app.run_looks([*chosen, run.name])
        return {name: looks[name] for name in (run.name, *others)}

    def _events(self) -> list[Event]:
        run, recording = self.run, self.workbench.follower.recording
        if run is None or recording is None:
            return events_of(run, ()) if run else []
        told = [*recording.notes, *recording.said]
        return events_of(run, recording.history.broken("step"), told)

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
        recording = self.workbench.follower.recording
        broken = recording.history.broken("step") if recording else np.empty(0)
        text = banner(run, float(broken[-1]) if len(broken) else None)
        self.query_one("#banner").display = text is not None
        write(self.query_one("#banner", Static), text or "")

    def show_recording(self) -> None:
        """Draw what the followers have read and computed."""
        follower = self.workbench.follower
        data, looks, crowd = follower.data, self._looks(), self.workbench.crowd.data
        self._drawn_looks = looks
        overlays = [Overlay(crowd[name], look) for name, look in looks.items() if name in crowd]
        run = self.run
        look = looks.get(run.name) if run else None
        self.query_one(LossChart).show(data, look, overlays, self._marks())
        self.query_one(Strips).show(data.strips if data else {})
        self.query_one(SidePanel).show(follower.recording, self._words_of_the_dead())
        if run is not None:
            self.query_one(SidePanel).show_run(run, self._events(), self.workbench.clock())
        self._keep_at_the_end()
        self._show_legend()
        self._show_head()

    def _marks(self) -> list[tuple[float, EventLook]]:
        recording = self.workbench.follower.recording
        if recording is None:
            return []
        places = [
            (recording.history.x_of_step(event.step, self._view.x_axis), event.look)
            for event in self._events()
        ]
        return [(x, look) for x, look in places if x is not None]

    def _words_of_the_dead(self) -> list[str]:
        """What the trainer of a run that has failed printed last; read once."""
        run = self.run
        if run is None or run.state not in ("crashed", "failed"):
            return []
        if self._last_words[0] != (run.name, run.state):
            words = last_words(self.workbench.catalog.root, run.name)
            self._last_words = ((run.name, run.state), words)
        return self._last_words[1]

    def _show_legend(self) -> None:
        follower, looks = self.workbench.follower, self._looks()
        line = self.query_one("#legend", Static)
        if self._cursor is not None and self._readout:
            write(line, self._readout_line(looks))
            return
        is_reading = follower.is_reading
        write(line, legend(follower.data, self._view, is_reading, looks, self._follows))

    def _keep_at_the_end(self) -> None:
        data, chart = self.workbench.follower.data, self.query_one(LossChart)
        if not self._follows or data is None or data.last_x is None or self._view.left is None:
            return
        if data.last_x != self._view.right:
            chart.scroll_to_x(data.last_x)
            left, right = chart.limits()
            self._change(left=left, right=right)

    def on_loss_chart_resized(self) -> None:
        """Another width takes another thinning."""
        self._look()

    def on_plot_widget_scale_changed(self) -> None:
        """The window has been moved by wheel, drag or key."""
        window = self.query_one(LossChart).window
        left, right = window or (None, None)
        data = self.workbench.follower.data
        last = data.last_x if data else None
        self._follows = self._follows and right is not None and last is not None and right >= last
        self._change(left=left, right=right)

    def _change(self, **changes: object) -> None:
        self._view = replace(self._view, **changes)  # type: ignore[arg-type]
        self._show_legend()
        self._look()

    def _change_and_remember(self, **changes: object) -> None:
        self._change(**changes)
        settings = self.workbench.settings
        settings.x_axis, settings.is_log = self._view.x_axis, self._view.is_log
        settings.smoothing = self._view.smoothing

    # === The crosshair ===

    def on_loss_chart_pointed(self, event: LossChart.Pointed) -> None:
        """The mouse takes the crosshair along."""
        self._point(event.x)

    def action_crosshair(self, direction: int) -> None:
        """Move the crosshair by a column; the first time, to the newest row."""
        chart, data = self.query_one(LossChart), self.workbench.follower.data
        if data is None or data.last_x is None:
            return
        left, right = chart.limits()
        start = min(right, data.last_x) if self._cursor is None else self._cursor
        step = 0.0 if self._cursor is None else direction * chart.column_width()
        found = self._point(min(max(start + step, left), right))
        if direction and found == start and step:  # rows lie further apart than columns
            self._point(self._neighbour(start, direction))

    def _neighbour(self, x: float, direction: int) -> float:
        data = self.workbench.follower.data
        if data is None:
            return x
        side = data.raw.x[data.raw.x > x] if direction > 0 else data.raw.x[data.raw.x < x]
        return float(side.min() if direction > 0 else side.max()) if len(side) else x

    def _point(self, x: float | None) -> float | None:
        """Put the crosshair at the row nearest to an x, and read it; where it is now."""
        recording, data = self.workbench.follower.recording, self.workbench.follower.data
        row = recording.row_at(x, self._view.x_axis) if recording and x is not None else {}
        self._cursor = row.get("x") if data is not None else None
        if data is not None and self._cursor is not None:
            smoothed = self._value_at(data.smoothed) if self._view.smoothing else None
            self._readout = reading(row, smoothed, self._value_at(data.validation, outlasts=True))
        self.query_one(LossChart).point(self._cursor)
        self._show_legend()
        return self._cursor

    def _readout_line(self, looks: dict[str, Look]) -> Content:
        """What the crosshair reads; of several runs first the smoothed losses, each beside its mark."""
        crowd, run = self.workbench.crowd.data, self.run
        own = self.workbench.follower.data
        curves = {**({run.name: own} if run and own else {}), **crowd}
        losses = [
            Content.assemble(
                (f"{look.mark} {name} ", look.color),
                wording.decimal(self._value_at(curves[name].smoothed), 4),
            )
            for name, look in looks.items()
            if name in curves
        ]
        return Content("   ").join([*losses, Content.styled(self._readout, "bold")])

    def _value_at(self, line: Line, outlasts: bool = False) -> float | None:
        """The value of a line at its last point up to the crosshair; None before its first and after its last.

        An evaluation `outlasts` its step: it holds until the next.
        """
        x = self._cursor or 0.0
        place = int(np.searchsorted(line.x, x, side="right")) - 1
        if place < 0 or not np.isfinite(line.y[place]) or (x > line.x[-1] and not outlasts):
            return None
        return float(10 ** line.y[place] if self._view.is_log else line.y[place])

    # === Actions ===

    def action_x_axis(self) -> None:
        """The next x axis, with everything in view."""
        following = X_AXES[(X_AXES.index(self._view.x_axis) + 1) % len(X_AXES)]
        self.query_one(LossChart).zoom(0)
        self._point(None)
        self._follows = False
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

    def action_follow(self) -> None:
        """Keep the window at the newest step, or leave it where it is."""
        self._follows = not self._follows and self._view.left is not None
        self._keep_at_the_end()
        self._show_legend()

    def action_overlay(self) -> None:
        """Keep this run on the chart when another is watched, or no longer."""
        if self.run is not None:
            self.workbench.overlay(self.run.name)
            is_kept = self.run.name in self.workbench.overlaid
            name = self.run.name
            text = (
                _("{name} stays on the chart beside others.", name=name)
                if is_kept
                else _("{name} is drawn alone again.", name=name)
            )
            self.notify(text, timeout=3, markup=False)

    def action_pin(self) -> None:
        """Compare the others with this run."""
        if self.run is not None:
            self.workbench.pin(self.run.name)
            text = _("Pinned: {pinned}", pinned=self.workbench.pinned or _("none"))
            self.notify(text, timeout=3, markup=False)

    def action_note(self) -> None:
        """Note something at the crosshair, or at the last step."""
        run, recording = self.run, self.workbench.follower.recording
        if run is None or recording is None:
            return
        row = recording.row_at(self._cursor, self._view.x_axis) if self._cursor is not None else {}
        step = int(row.get("step") or run.step or 0)

        def note(text: str) -> None:
            housekeeping.add_note(RunFolder(run.path), step, text)

        dialog = AskScreen(
            _("note at step {step:,}", step=step), _("What is to be remembered of this step?")
        )
        self._ask(dialog, lambda text: self._try(lambda: note(text)))

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
        """Copy what the crosshair reads; without one, the path of this run."""
        if self._cursor is not None and self._readout:
            self.workbench.copy(self._readout, _("what the crosshair reads"))
            return
        self.workbench.copy_run_path(self.run.name if self.run else None)

    def go_back(self) -> bool:
        """Take away the crosshair, the filter of the log, the chart alone: one of them; whether there was one."""
        if self._cursor is not None:
            self._point(None)
            return True
        if self.query_one(LogPane).end_filter():
            self.query_one(LossChart).focus()
            return True
        was_maximised = self.has_class("maximised")
        self.remove_class("maximised")
        return was_maximised

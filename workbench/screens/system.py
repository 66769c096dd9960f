"""Screen 6: the machine, what is free on it, what is installed, and all of it as a report to copy."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Static

from kgpt.language import _
from workbench.machine import Load
from workbench.screens.base import WorkbenchScreen
from workbench.widgets import system_report
from workbench.widgets.bindings import bindings_of

SECONDS = 2.0
"""Between two readings, while the screen is in front."""
POINTS = 90
"""That the small curves keep: three minutes."""


class SystemScreen(WorkbenchScreen):
    """Load with its curves on the left, the report on the right."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("system")]
    AUTO_FOCUS = "#bug-report-pane"
    place = "system"

    def compose_body(self) -> ComposeResult:
        """Two columns."""
        with Horizontal(id="system-body"):
            with VerticalScroll(id="load-pane", can_focus=False) as load:
                load.border_title = _("machine")
                for name in ("cpu", "memory", "gpu"):
                    with Vertical(id=f"{name}-part", classes="load-part"):
                        yield Static(id=f"{name}-line")
                        yield Static(id=f"{name}-curve")
                yield Static(id="disks")
            with VerticalScroll(id="bug-report-pane") as report:
                report.border_title = _("report")
                report.border_subtitle = _("y copies")
                yield Static(id="bug-report")

    def on_mount(self) -> None:
        """Read now and again."""
        self._curves: dict[str, deque[float]] = {
            name: deque(maxlen=POINTS) for name in ("cpu", "memory", "gpu")
        }
        self._shown: Load | None = None
        self.query_one("#gpu-part").display = False
        self.set_interval(SECONDS, self._read)
        self._read()

    def _read(self) -> None:
        if self.is_current:
            self.workbench.machine.read()

    def show_runs(self) -> None:
        """How many runs there are."""
        self.show_note()
        self._read()

    def show_machine(self) -> None:
        """A reading has come."""
        reading = self.workbench.machine.reading
        if reading is None or reading.load is self._shown:
            return
        self._shown = reading.load
        load = reading.load
        gpus = [gpu.busy for gpu in load.gpus if gpu.busy is not None]
        shares = {"cpu": load.cpu, "memory": load.used_bytes / max(1, load.total_bytes)}
        shares["gpu"] = max(gpus, default=0.0)
        self.query_one("#gpu-part").display = bool(load.gpus)
        lines = {
            "cpu": system_report.cpu(load, reading.processor),
            "memory": system_report.memory(load),
            "gpu": system_report.gpus(load),
        }
        for name, share in shares.items():
            self._curves[name].append(share)
            self.query_one(f"#{name}-line", Static).update(lines[name])
            curve = self.query_one(f"#{name}-curve", Static)
            width = self.query_one("#load-pane").scrollable_content_region.width
            curve.update(system_report.curve(list(self._curves[name]), max(1, width)))
        self.query_one("#disks", Static).update(system_report.disks(reading))
        self.query_one("#bug-report", Static).update(self._report())

    def _report(self) -> str:
        app = self.workbench
        runs = app.catalog.summaries
        return system_report.bug_report(
            app.machine.reading, runs, app.last_error, app.size, app.theme
        )

    def action_copy(self) -> None:
        """Copy the report."""
        self.workbench.copy(self._report(), _("the report"))

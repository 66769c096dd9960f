"""A run is written in another format: what, where, and how far it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Button, Input, Label, Select, Static

from kgpt.language import N_, _
from workbench import wording
from workbench.exports import FORMATS, Export, ExportOrder, default_output
from workbench.run_summary import RunSummary
from workbench.screens.dialogs import Dialog
from workbench.widgets.bindings import bindings_of

if TYPE_CHECKING:
    from workbench.app import WorkbenchApp

REPLACE = [(N_("leave an earlier export alone"), ""), (N_("replace an earlier export"), "yes")]
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class ExportScreen(Dialog):
    """A form, then the stages; closing it leaves an export that has begun at work."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("form"), *bindings_of("exporting")]
    place = "exporting"
    AUTO_FOCUS = "#export-format"

    def __init__(self, run: RunSummary) -> None:
        super().__init__(_("export {name}", name=run.name))
        self.run = run
        self.export: Export | None = None
        self._turn = 0

    def compose_body(self) -> ComposeResult:
        """Format, weights, checkpoint, place; below them what is going on."""
        steps = [(_("best"), "best"), (_("last"), "last")]
        steps += [
            (_("step {step:,}", step=item.step), str(item.step))
            for item in reversed(self.run.checkpoints)
        ]
        first = next(iter(FORMATS))
        fields = (
            ("format", Select(_choices(FORMATS), value=first, allow_blank=False, compact=True)),
            ("weights", Select(_choices(FORMATS[first]), allow_blank=False, compact=True)),
            ("checkpoint", Select(steps, value="best", allow_blank=False, compact=True)),
            ("output", Input(default_output(self.run.name, first), compact=True)),
            (
                "overwrite",
                Select(
                    [(_(text), value) for text, value in REPLACE],
                    value="",
                    allow_blank=False,
                    compact=True,
                ),
            ),
        )
        titles = {
            "format": _("format"),
            "weights": _("weights"),
            "checkpoint": _("checkpoint"),
            "output": _("output"),
            "overwrite": _("if there is one"),
        }
        for name, widget in fields:
            widget.id = f"export-{name}"
            with Horizontal(classes="row"):
                yield Label(titles[name])
                yield widget
        yield Static(id="export-progress")
        with Horizontal(classes="buttons"):
            yield Button(_("Export"), id="begin", variant="primary", compact=True)
            yield Button(_("Stop"), id="stop", variant="error", compact=True, disabled=True)

    def on_mount(self) -> None:
        """Show how far it is, five times a second."""
        self.set_interval(0.2, self._show)

    @property
    def _app(self) -> WorkbenchApp:
        return cast("WorkbenchApp", self.app)

    def on_select_changed(self, event: Select.Changed) -> None:
        """Another format stores other weights, in another place."""
        if event.select.id != "export-format":
            return
        weights, output = self.query_one("#export-weights", Select), self._field("output")
        before = [default_output(self.run.name, name) for name in FORMATS]
        weights.set_options(_choices(FORMATS[str(event.value)]))
        if output.value in before:
            output.value = default_output(self.run.name, str(event.value))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """What the mouse says."""
        self.action_begin() if event.button.id == "begin" else self.action_stop()

    def action_begin(self) -> None:
        """Start the export in a child process."""
        if self.export is None or self.export.state != "running":
            self.export = self._app.exports.begin(self._order())
            self._show()

    def action_stop(self) -> None:
        """Stop it; what was half written is removed."""
        if self.export is not None:
            self._app.exports.stop(self.export)

    def action_copy(self) -> None:
        """Copy the same export as a shell line."""
        import shlex

        arguments = self._order().arguments()
        self._app.copy(shlex.join(["kgpt", *arguments]), _("the command line"))

    def _order(self) -> ExportOrder:
        chosen = {
            name: str(self.query_one(f"#export-{name}", Select).value)
            for name in ("format", "weights", "checkpoint")
        }
        return ExportOrder(
            run=self.run.path,
            output=Path(self._field("output").value).expanduser(),
            overwrite=bool(self.query_one("#export-overwrite", Select).value),
            **chosen,
        )

    def _field(self, name: str) -> Input:
        return self.query_one(f"#export-{name}", Input)

    def _show(self) -> None:
        export = self.export
        is_running = export is not None and export.state == "running"
        self.query_one("#begin", Button).disabled = is_running
        self.query_one("#stop", Button).disabled = not is_running
        self._turn += 1
        self.query_one("#export-progress", Static).update(
            _progress(export, SPINNER[self._turn % len(SPINNER)]) if export else ""
        )


def _choices(names: object) -> list[tuple[str, str]]:
    return [(name, name) for name in cast("tuple[str, ...]", names)]


def _progress(export: Export, spinner: str) -> Content:
    if export.state == "running":
        stage = export.job.stage or _("Starting")
        return Content.styled(f"{spinner} {stage} …", "$accent")
    if export.state == "done":
        size = export.result.get("bytes")
        text = f"✓ {export.result.get('output')}  "
        return Content.styled(
            text + wording.size(size if isinstance(size, int) else None), "$success"
        )
    if export.state == "stopped":
        return Content.styled(_("■ stopped; nothing was left behind"), "$warning")
    return Content.styled(f"✗ {export.error}", "$error")

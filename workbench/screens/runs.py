"""Screen 1: all runs, live, with the details of the one under the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Input, Static

from kgpt.language import _
from workbench.screens.run_actions import RunActions
from workbench.widgets.bindings import bindings_of
from workbench.widgets.colors import muted
from workbench.widgets.top_bar import TopBar

if TYPE_CHECKING:
    from textual.widgets import DataTable

    from workbench.filters import Filter
    from workbench.run_summary import RunSummary
    from workbench.widgets.run_details import RunDetails
    from workbench.widgets.run_table import RunTable

AGE_SECONDS = 5
"""How often the ages in the table are written anew."""


class RunsScreen(RunActions):
    """Table and details; an empty folder says how to begin."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("runs")]
    AUTO_FOCUS = None
    place = "runs"

    @property
    def table(self) -> RunTable:
        """The runs."""
        return cast("RunTable", self.query_one("RunTable"))

    is_furnished = False
    """Table and details are there; the first frame does not wait for them."""
    has_shown = False
    """The table has had runs to show; what was chosen before keeps the cursor then."""

    def compose(self) -> ComposeResult:
        """The first frame: nothing is known yet."""
        yield TopBar(self.place)
        yield Static(muted(_("Looking for runs…")), id="empty")

    async def furnish(self) -> None:
        """Mount the table beside or above the details, after the first frame."""
        from textual.containers import Container, Vertical
        from textual.widgets import Footer

        from workbench.filters import Filter
        from workbench.widgets.divider import Divider
        from workbench.widgets.run_details import RunDetails
        from workbench.widgets.run_table import RunTable

        self._filter: Filter = Filter()
        self.workbench.complete_styles()
        field = Input(
            placeholder=_("words, val<3.2, lr>=1e-4, state:live, -not, this | that"),
            id="filter",
            compact=True,
        )
        note = Static(id="filter-note", markup=False)
        table = RunTable()
        runs = Vertical(field, note, table, id="runs-list")
        divider = Divider("RunDetails", "height", 3, 6, self.workbench.settings.runs_pane)
        body = Container(runs, divider, RunDetails(), id="runs-body")
        field.display = note.display = body.display = False
        await self.mount(body, Footer(compact=True))
        self.is_furnished = True
        table.focus()
        self.set_interval(1, self._show_details)
        self.set_interval(AGE_SECONDS, self._grow_older)
        self.on_screen_resume()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing can be done with runs that are not shown."""
        return self.is_furnished and super().check_action(action, parameters)

    def show_runs(self) -> None:
        """Bring the table up to date."""
        if not (self.is_furnished and self.workbench.runs.has_read):
            return
        catalog = self.workbench.catalog
        self.show_note()
        self.query_one("#runs-body").display = bool(catalog.summaries)
        empty = self.query_one("#empty", Static)
        empty.display = not catalog.summaries
        empty.update(empty_state(str(catalog.root), self.workbench.is_read_only))
        app, now = self.workbench, self.workbench.clock()
        matching = [run for run in catalog.summaries if self._filter.matches(run, now)]
        table, chosen = self.table, None if self.has_shown else app.chosen_run
        self.has_shown = True
        table.show(matching, now, app.run_looks(app.comparison.overlaid), app.comparison.pinned)
        if self.begun_run in {run.name for run in matching}:
            chosen, self.begun_run = self.begun_run, None
        if chosen:
            table.move_to(chosen)
        self._show_details()

    def _grow_older(self) -> None:
        """Write the ages anew; behind another screen, the cursor would choose a run that nobody looks at."""
        if self.is_current:
            self.show_runs()

    def on_screen_resume(self) -> None:
        """Go back to the run that was looked at elsewhere."""
        chosen = self.workbench.chosen_run
        super().on_screen_resume()
        if chosen and self.is_furnished:
            self.table.move_to(chosen)

    @property
    def run_in_hand(self) -> RunSummary | None:
        """The run under the cursor."""
        return self.workbench.catalog.get(self.table.chosen or "")

    def _show_details(self) -> None:
        app = self.workbench
        pinned = app.catalog.get(app.comparison.pinned or "")
        cast("RunDetails", self.query_one("RunDetails")).show(self.run_in_hand, app.clock(), pinned)

    # === Events ===

    def on_run_table_chosen(self, event: RunTable.Chosen) -> None:
        """Another run is under the cursor."""
        if event.name:
            self.workbench.chosen_run = event.name
        self._show_details()

    def on_data_table_row_selected(self) -> None:
        """A second click on a row."""
        self.action_watch()

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        """A click on a title sorts by it; another turns the order around."""
        self._sort_by(str(event.column_key.value))

    def on_input_changed(self) -> None:
        """The filter works while it is typed; what means nothing is told, and the last that did stays."""
        from workbench.filters import FilterError, parse

        note = self.query_one("#filter-note", Static)
        try:
            self._filter = parse(self.query_one("#filter", Input).value)
        except FilterError as error:
            note.update(str(error))
            note.display = True
            return
        note.display = False
        self.show_runs()

    def on_input_submitted(self) -> None:
        """Enter goes back to the table; an empty filter goes away."""
        field = self.query_one("#filter", Input)
        field.display = bool(field.value)
        self.table.focus()

    # === Actions ===

    def action_filter(self) -> None:
        """Show the filter and type into it."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    def go_back(self) -> bool:
        """Close the filter; whether there was one."""
        if not self.is_furnished:
            return False
        field = self.query_one("#filter", Input)
        was_shown = bool(field.display)
        field.value = ""
        field.display = False
        self.table.focus()
        return was_shown

    def action_sort(self) -> None:
        """Sort by the next column."""
        from workbench.columns import COLUMNS

        ids = [column.id for column in COLUMNS]
        table = self.table
        self._sort_by(ids[(ids.index(table.sort_column) + 1) % len(ids)])

    def action_reverse(self) -> None:
        """Turn the order around."""
        self._sort_by(self.table.sort_column)

    def _sort_by(self, column: str) -> None:
        table = self.table
        table.is_reversed = not table.is_reversed if table.sort_column == column else False
        table.sort_column = column
        table.restyle()

    def action_cursor(self, direction: str) -> None:
        """Move the cursor by one row."""
        table = self.table
        table.action_cursor_down() if direction == "down" else table.action_cursor_up()

    def action_watch(self) -> None:
        """Watch the run under the cursor; one that cannot be read says why."""
        self._open("watch")

    def action_generate(self) -> None:
        """Write with the run under the cursor."""
        self._open("generate")

    def _open(self, mode: str) -> None:
        run = self.run_in_hand
        if run is None:
            return
        if run.problem:
            self.notify(
                run.problem,
                title=_("{name} cannot be read", name=run.name),
                severity="error",
                markup=False,
            )
            return
        if mode != "generate" or self._has_checkpoint(run):
            self.workbench.open_run(mode, run.name)

    def _has_checkpoint(self, run: RunSummary) -> bool:
        """Whether there are weights; where there are none, say so."""
        if not run.checkpoints:
            title = _("{name} has no checkpoint yet", name=run.name)
            message = _("It writes one at its first evaluation.")
            self.notify(message, title=title, severity="warning", markup=False)
        return bool(run.checkpoints)

    def action_overlay(self) -> None:
        """Draw the run under the cursor over the one that is watched, or no longer."""
        if self.run_in_hand:
            self.workbench.comparison.overlay(self.run_in_hand.name)

    def action_pin(self) -> None:
        """Compare the others with the run under the cursor."""
        if self.run_in_hand:
            self.workbench.comparison.pin(self.run_in_hand.name)

    def action_export(self) -> None:
        """Open the form of an export."""
        from workbench.screens.export_run import ExportScreen

        run = self.run_in_hand
        if run is not None and self._has_checkpoint(run):
            self.app.push_screen(ExportScreen(run))

    def action_copy_path(self) -> None:
        """Copy the path of the run under the cursor."""
        self.workbench.copy_run_path(self.table.chosen)


def empty_state(root: str, is_read_only: bool = False) -> Content:
    """What an empty folder of runs shows."""
    here = (
        muted(_("Start one in another terminal; it appears here by itself:\n\n"))
        if is_read_only
        else Content.assemble(
            muted(_("Press ")),
            ("n", "bold $primary"),
            muted(_(" to train the demo, or type in a shell:\n\n")),
        )
    )
    return Content.assemble(
        (_("No runs in {root} yet\n\n", root=root), "bold"),
        here,
        ("    kgpt-train\n\n", "bold $success"),
        muted(_("That trains a small model on the built-in encyclopedia. On your own text:\n\n")),
        ("    kgpt prepare book.txt --output data/book\n", "$success"),
        ("    kgpt-train --data data/book --run book\n", "$success"),
    )

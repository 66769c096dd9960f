"""Screen 1: all runs, live, with the details of the one under the cursor."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import DataTable, Input, Static

from workbench.catalog import RunSummary
from workbench.screens.base import WorkbenchScreen
from workbench.widgets.bindings import bindings_of
from workbench.widgets.run_details import RunDetails, muted
from workbench.widgets.run_table import COLUMNS, RunTable


class RunsScreen(WorkbenchScreen):
    """Table and details; an empty folder says how to begin."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("runs")]
    AUTO_FOCUS = "RunTable"
    place = "runs"

    def compose_body(self) -> ComposeResult:
        """The table beside or above the details, or the empty state."""
        yield Static(id="empty")
        with Container(id="runs-body"):
            with Vertical(id="runs-list"):
                yield Input(
                    placeholder="show runs whose name, state or model has…",
                    id="filter",
                    compact=True,
                )
                yield RunTable()
            yield RunDetails()

    def on_mount(self) -> None:
        """Nothing is known yet: the first reading takes a moment."""
        self.query_one("#filter", Input).display = False
        self.query_one("#empty", Static).update(muted("Looking for runs…"))
        self.query_one("#runs-body").display = False
        self.set_interval(1, self._show_details)

    def show_runs(self) -> None:
        """Bring the table up to date."""
        if not self.workbench.has_read:
            return
        catalog = self.workbench.catalog
        self.show_note()
        self.query_one("#runs-body").display = bool(catalog.summaries)
        empty = self.query_one("#empty", Static)
        empty.display = not catalog.summaries
        empty.update(empty_state(str(catalog.root)))
        matching = [run for run in catalog.summaries if self._matches(run)]
        self.query_one(RunTable).show(matching)
        self._show_details()

    def _matches(self, run: RunSummary) -> bool:
        words = self.query_one("#filter", Input).value.lower().split()
        text = f"{run.name} {run.state} {run.preset} {run.task}".lower()
        return all(word in text for word in words)

    def _show_details(self) -> None:
        run = self.workbench.catalog.get(self.query_one(RunTable).chosen or "")
        self.query_one(RunDetails).show(run, self.workbench.clock())

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
        """The filter works while it is typed."""
        self.show_runs()

    def on_input_submitted(self) -> None:
        """Enter goes back to the table; an empty filter goes away."""
        field = self.query_one("#filter", Input)
        field.display = bool(field.value)
        self.query_one(RunTable).focus()

    # === Actions ===

    def action_filter(self) -> None:
        """Show the filter and type into it."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    def go_back(self) -> bool:
        """Close the filter; whether there was one."""
        field = self.query_one("#filter", Input)
        was_shown = bool(field.display)
        field.value = ""
        field.display = False
        self.query_one(RunTable).focus()
        return was_shown

    def action_sort(self) -> None:
        """Sort by the next column."""
        ids = [column.id for column in COLUMNS]
        table = self.query_one(RunTable)
        self._sort_by(ids[(ids.index(table.sort_column) + 1) % len(ids)])

    def action_reverse(self) -> None:
        """Turn the order around."""
        self._sort_by(self.query_one(RunTable).sort_column)

    def _sort_by(self, column: str) -> None:
        table = self.query_one(RunTable)
        table.is_reversed = not table.is_reversed if table.sort_column == column else False
        table.sort_column = column
        table.restyle()

    def action_cursor(self, direction: str) -> None:
        """Move the cursor by one row."""
        table = self.query_one(RunTable)
        table.action_cursor_down() if direction == "down" else table.action_cursor_up()

    def action_watch(self) -> None:
        """Watch the run under the cursor; one that cannot be read says why."""
        self._open("watch")

    def action_generate(self) -> None:
        """Write with the run under the cursor."""
        self._open("generate")

    def _open(self, mode: str) -> None:
        run = self.workbench.catalog.get(self.query_one(RunTable).chosen or "")
        if run is None:
            return
        if run.problem:
            self.notify(
                run.problem, title=f"{run.name} cannot be read", severity="error", markup=False
            )
            return
        if mode == "generate" and not run.checkpoints:
            message = "It writes one at its first evaluation."
            self.notify(
                message, title=f"{run.name} has no checkpoint yet", severity="warning", markup=False
            )
            return
        self.workbench.open_run(mode, run.name)

    def action_copy_path(self) -> None:
        """Copy the path of the run under the cursor."""
        self.workbench.copy_run_path(self.query_one(RunTable).chosen)


def empty_state(root: str) -> Content:
    """What an empty folder of runs shows."""
    return Content.assemble(
        (f"No runs in {root} yet\n\n", "bold"),
        muted("Start one in another terminal; it appears here by itself:\n\n"),
        ("    kgpt-train\n\n", "bold $success"),
        muted("That trains a small model on the built-in encyclopedia. On your own text:\n\n"),
        ("    kgpt prepare book.txt --output data/book\n", "$success"),
        ("    kgpt-train --data data/book --run book\n", "$success"),
    )

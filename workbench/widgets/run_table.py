"""The table of runs: one row each, updated in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import DataTable

from kgpt.language import _
from workbench import wording
from workbench.columns import COLUMNS, Beside, Column
from workbench.palette import Look
from workbench.run_summary import RunSummary
from workbench.widgets.colors import rich_style

CURVE_WIDTHS = (8, 24)
"""Narrowest and widest curve, in cells."""

PINNED = "⚑"


class RunTable(DataTable[Text], inherit_bindings=False):
    """Rows of runs, kept in a chosen order, with the cursor staying on its run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        item
        for item in DataTable.BINDINGS
        if isinstance(item, Binding) and item.key not in ("enter", "left", "right")
    ]

    class Chosen(Message):
        """The cursor came to rest on another run (or on none)."""

        def __init__(self, name: str | None) -> None:
            super().__init__()
            self.name = name

    def __init__(self) -> None:
        super().__init__(cursor_type="row", cell_padding=1, cursor_foreground_priority="renderable")
        self.sort_column, self.is_reversed = "state", False
        self._shown: dict[str, tuple[Text, ...]] = {}
        self._runs: tuple[RunSummary, ...] = ()
        self._columns_shown: tuple[Column, ...] = ()
        self._is_filling = False
        self._curve_width = CURVE_WIDTHS[0]
        self._beside = Beside(0.0)
        self._marks: dict[str, Look] = {}
        self._pinned: str | None = None

    @property
    def chosen(self) -> str | None:
        """Name of the run under the cursor."""
        names = list(self._shown)
        return names[self.cursor_row] if 0 <= self.cursor_row < len(names) else None

    def show(
        self,
        runs: Sequence[RunSummary],
        now: float = 0.0,
        marks: Mapping[str, Look] | None = None,
        pinned: str | None = None,
    ) -> None:
        """Show these runs, with marks on some and a flag on one.

        Changed cells are replaced; a change of the order fills the table anew.
        """
        self._runs, self._marks, self._pinned = tuple(runs), dict(marks or {}), pinned
        self._beside = Beside(now, _lowest(runs))
        self._fit_curve()
        ordered = sorted(runs, key=lambda run: run.name)
        ordered.sort(key=lambda run: run.created, reverse=True)
        by = next(column for column in COLUMNS if column.id == self.sort_column)
        ordered.sort(key=by.order, reverse=self.is_reversed)
        rows = {run.name: self._cells(run) for run in ordered}
        if list(rows) == list(self._shown) and self._columns_shown == self._columns():
            self._update_cells(rows)
        else:
            self._fill(rows)

    def restyle(self) -> None:
        """Draw everything again: the theme, the width or the order has changed."""
        self._columns_shown = ()
        self.show(self._runs, self._beside.now, self._marks, self._pinned)

    def move_to(self, name: str) -> None:
        """Put the cursor on a run, if it is shown."""
        if name in self._shown:
            self.move_cursor(row=list(self._shown).index(name), animate=False)

    def on_resize(self) -> None:
        """Show or hide the columns for wide terminals, and fit the curves."""
        if self._columns_shown:
            self.restyle()

    def on_data_table_row_highlighted(self) -> None:
        """Tell which run the cursor is on."""
        if not self._is_filling:
            self.post_message(self.Chosen(self.chosen))

    def _columns(self) -> tuple[Column, ...]:
        return tuple(column for column in COLUMNS if self.size.width >= column.from_width)

    def _cells(self, run: RunSummary) -> tuple[Text, ...]:
        return tuple(self._cell(run, column) for column in self._columns())

    def _cell(self, run: RunSummary, column: Column) -> Text:
        look = wording.look(run.state)
        state_style = rich_style(self.app, look.color)
        style = rich_style(self.app, column.style) if column.style else Style()
        if column.id == "name":
            parts = [(f"{look.dot} ", state_style), (run.name, Style(bold=True))]
            return Text.assemble(*parts, *self._marks_of(run), no_wrap=True)
        if column.id == "state":
            style = state_style
        text = self._curve(run) if column.id == "curve" else column.text(run, self._beside)
        justify = "right" if column.is_number else "left"
        return Text(text, style=style, justify=justify, no_wrap=True)  # type: ignore[arg-type]

    def _marks_of(self, run: RunSummary) -> list[tuple[str, Style]]:
        mark = self._marks.get(run.name)
        marks = [(f" {mark.mark}", Style.parse(mark.color))] if mark else []
        flag = (f" {PINNED}", rich_style(self.app, "accent"))
        return [*marks, flag] if run.name == self._pinned else marks

    def _curve(self, run: RunSummary) -> str:
        return wording.sparkline(run.curve, self._curve_width) if run.is_complete else _("reading…")

    def _fit_curve(self) -> None:
        """Give the curve what the other columns leave."""
        columns = [column for column in self._columns() if column.id != "curve"]
        taken = sum(
            2 + max([len(column.title) + 2, *(self._width(run, column) for run in self._runs)])
            for column in columns
        )
        narrow, wide = CURVE_WIDTHS
        self._curve_width = max(narrow, min(wide, self.size.width - taken - 5))

    def _width(self, run: RunSummary, column: Column) -> int:
        marks = 2 * (run.name in self._marks) + 2 * (run.name == self._pinned) + 2
        return len(column.text(run, self._beside)) + marks * (column.id == "name")

    def _update_cells(self, rows: dict[str, tuple[Text, ...]]) -> None:
        for row, (name, cells) in enumerate(rows.items()):
            for column, (old, new) in enumerate(zip(self._shown[name], cells, strict=True)):
                if old != new:
                    self.update_cell_at((row, column), new, update_width=True)  # type: ignore[arg-type]
        self._shown = rows

    def _fill(self, rows: dict[str, tuple[Text, ...]]) -> None:
        chosen, offset = self.chosen, self.scroll_y
        self._is_filling = True
        self.clear(columns=True)
        self._columns_shown = self._columns()
        arrow = "▴" if self.is_reversed else "▾"
        for column in self._columns():
            mark = f" {arrow}" if column.id == self.sort_column else ""
            justify = "right" if column.is_number else "left"
            self.add_column(Text(column.title + mark, justify=justify), key=column.id)  # type: ignore[arg-type]
        self._shown = rows
        for name, cells in rows.items():
            self.add_row(*cells, key=name)
        names = list(rows)
        self.move_cursor(row=names.index(chosen) if chosen in rows else 0, animate=False)
        self.scroll_to(y=offset, animate=False)
        self._is_filling = False
        if self.chosen != chosen:
            self.post_message(self.Chosen(self.chosen))


def _lowest(runs: Sequence[RunSummary]) -> dict[str, float]:
    """The best validation loss of each task."""
    known = [(run.task, run.best_validation_loss) for run in runs]
    losses = sorted((loss, task) for task, loss in known if loss is not None)
    return {task: loss for loss, task in reversed(losses)}

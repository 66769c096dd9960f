"""The curves on the Watch screen as files: all rows as CSV or JSON lines, or the chart as a picture."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from textual.widget import Widget

from kgpt.errors import KgptError
from kgpt.files import write_atomically
from kgpt.language import _, ngettext
from kgpt.runs import RunFolder
from workbench.screens.dialogs import AskScreen
from workbench.screens.run_actions import RunActions
from workbench.series_files import check_target, write_series
from workbench.widgets.loss_chart import LossChart
from workbench.widgets.picture import svg_of


class CurveFiles(RunActions):
    """Exports what is on the chart. The subclass says which runs lie over the one that is watched."""

    def overlaid_folders(self) -> list[RunFolder]:
        """The runs that are drawn over the one that is watched."""
        raise NotImplementedError

    def action_export(self) -> None:
        """Write the curves of the runs on the chart as a file."""
        run = self.run_in_hand
        if run is None:
            return
        text = _(
            "The ending chooses: .csv or .jsonl for all rows, .svg for a picture of the chart."
        )
        dialog = AskScreen(_("curves of {name}", name=run.name), text, f"{run.name}-curves.csv")
        self._ask(dialog, lambda answer: self._export(Path(answer).expanduser()))

    def _export(self, path: Path) -> None:
        run = self.run_in_hand
        if run is None:
            return
        folders = [RunFolder(run.path), *self.overlaid_folders()]
        try:
            check_target(path)
            if path.suffix == ".svg":
                parts: list[Widget] = [self.query_one("#legend"), self.query_one(LossChart)]
                write_atomically(path, svg_of(self, parts, run.name))
                self._exported(path, _("a picture"))
                return
        except KgptError as error:
            self.workbench.show_error(error)
            return
        self.run_worker(self._write_series(folders, path), group="series", exit_on_error=False)

    async def _write_series(self, folders: Sequence[RunFolder], path: Path) -> None:
        try:
            count = await asyncio.to_thread(write_series, folders, path)
        except KgptError as error:
            self.workbench.show_error(error)
        else:
            self._exported(path, ngettext("{count:,} row", "{count:,} rows", count))

    def _exported(self, path: Path, what: str) -> None:
        self.notify(f"{what} → {path}", title=_("Exported"), markup=False)

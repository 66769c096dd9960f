"""The folder of the runs, followed: what is new in it, what has ended, what failed to begin.

In: a catalog and a launcher. Out: news, and a word on each ending.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from kgpt.errors import KgptError
from kgpt.language import _
from workbench import wording
from workbench.services import Host

if TYPE_CHECKING:
    from workbench.catalog import Catalog
    from workbench.launcher import Launcher
    from workbench.run_summary import RunSummary

READING_PAUSE_SECONDS = 0.02
"""Between two reads while the catalog has not seen everything."""


class RunsService:
    """Looks into the folder again and again."""

    def __init__(
        self,
        host: Host,
        catalog: Catalog,
        launcher: Launcher,
        on_end: Callable[[RunSummary], None],
        on_gone: Callable[[str], None],
        poll_seconds: float,
    ) -> None:
        self.has_read = False
        """The folder has been read at least once."""
        self.poll_seconds = poll_seconds
        self._host, self._catalog, self._launcher = host, catalog, launcher
        self._on_end, self._on_gone = on_end, on_gone
        self._asked = asyncio.Event()
        self._live_before: set[str] = set()

    def look_again(self) -> None:
        """Read the folder now: something has been done to it."""
        self._asked.set()

    async def follow(self) -> None:
        """Read for as long as the task lives."""
        while True:
            try:
                self._tell_failures()
                changed = await asyncio.to_thread(self._catalog.refresh)
            except Exception as error:  # whatever lies in the folder, the workbench stays
                self._host.tell_damage(error)
                changed = False
            self._tell_endings()
            if changed or not self.has_read:
                self.has_read = True
                self._host.tell("catalog")
            pause = self.poll_seconds if self._catalog.is_complete else READING_PAUSE_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), pause)
            self._asked.clear()

    def _tell_failures(self) -> None:
        """Say which trainers gave up before they began, and why."""
        for name, error in self._launcher.poll():
            title = f"{name}: {error.title}"
            self._host.show_error(type(error)(title, error.message, error.hint))

    def _tell_endings(self) -> None:
        """Say so when a run has ended that was at work when last seen."""
        live = {run.name for run in self._catalog.summaries if run.is_live}
        for run in self._catalog.summaries:
            if run.name in self._live_before and run.name not in live:
                text = wording.situation(run, self._catalog.clock())
                is_bad = run.state not in ("finished", "stopped")
                self._host.announce(text, f"{wording.look(run.state).dot} {run.name}", is_bad)
                self._on_end(run)
        self._live_before = live

    def delete(self, name: str) -> None:
        """Delete a run."""
        from kgpt.runs import RunFolder
        from workbench import housekeeping

        async def work() -> None:
            try:
                await asyncio.to_thread(housekeeping.delete, RunFolder(self._catalog.root / name))
            except KgptError as error:
                self._host.show_error(error)
            else:
                self._on_gone(name)
                self._host.announce(_("{name} is gone.", name=name), _("Deleted"))
            self.look_again()

        self._host.in_background(work, "delete")

"""Follows the run that is being watched: reads and computes in a thread, tells when there is something new.

In: a run folder, a `View` and the step of the best checkpoint. Out: `recording` and `data`, and a call of
`on_change`. Knows no Textual; numpy is imported with the first run that is followed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from kgpt.runs import RunFolder

if TYPE_CHECKING:
    from workbench.recording import ChartData, Recording, View

READ_PAUSE_SECONDS = 0.004
"""Between two pieces of a long file, for whoever else wants to run."""

REST_FACTOR = 3.0
"""While a long file is being read, the curve is computed again after this many times what it took last time."""


class Follower:
    """One run at a time; `run` goes on until it is cancelled."""

    def __init__(
        self,
        on_change: Callable[[], None],
        poll_seconds: float = 0.5,
        on_error: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        self.on_change = on_change
        self.on_error = on_error
        self.poll_seconds = poll_seconds
        self.folder: RunFolder | None = None
        self.recording: Recording | None = None
        self.data: ChartData | None = None
        self.is_reading = False
        """There is more of the file to read."""
        self._view: View | None = None
        self._best_step: int | None = None
        self._wanted = asyncio.Event()
        self._is_paused = False

    @property
    def is_behind(self) -> bool:
        """The curve is there, but not yet as it was asked for last."""
        return self.data is not None and self.data.view != self._view

    def follow(self, folder: RunFolder) -> None:
        """Turn to a run; the same run again changes nothing."""
        if self.folder != folder:
            self.folder, self.recording, self.data = folder, None, None
            self._wanted.set()

    def look(self, view: View, best_step: int | None) -> None:
        """Ask for the curve as seen in a view."""
        if (view, best_step) != (self._view, self._best_step):
            self._view, self._best_step = view, best_step
            self._wanted.set()

    def pause(self, is_paused: bool) -> None:
        """Rest while nobody looks."""
        self._is_paused = is_paused
        self._wanted.set()

    async def run(self) -> None:
        """Read and compute for as long as the task lives."""
        not_before = 0.0
        is_due = False
        while True:
            is_due |= self._wanted.is_set()
            self._wanted.clear()
            try:
                is_due |= await self._read()
                if is_due and (not self.is_reading or time.monotonic() >= not_before):
                    spent = await self._compute()
                    not_before = time.monotonic() + max(self.poll_seconds / 2, REST_FACTOR * spent)
                    is_due = False
            except Exception as error:  # a damaged file must not end the following
                self.is_reading = False
                self.on_error(error)
            await self._wait()

    async def _wait(self) -> None:
        if self.is_reading and not self._is_paused:
            await asyncio.sleep(READ_PAUSE_SECONDS)
            return
        try:
            timeout = None if self._is_paused else self.poll_seconds
            await asyncio.wait_for(self._wanted.wait(), timeout)
        except TimeoutError:
            pass

    async def _read(self) -> bool:
        if self.folder is None or self._is_paused:
            return False
        if self.recording is None:
            from workbench.recording import Recording

            self.recording = Recording(self.folder)
        changed, self.is_reading = await asyncio.to_thread(self.recording.refresh)
        return changed

    async def _compute(self) -> float:
        """Compute the curve; the seconds that it took."""
        recording, view = self.recording, self._view
        if recording is None or view is None:
            return 0.0
        start = time.monotonic()
        data = await asyncio.to_thread(recording.chart, view, self._best_step)
        if recording is self.recording and recording.folder == self.folder:
            self.data = data
            self.on_change()
        return time.monotonic() - start

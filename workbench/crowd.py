"""The runs that are drawn over the one that is watched: a follower for each.

In: run folders and a `View`. Out: `ChartData` by name, and a call of `on_change`. Knows no Textual.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kgpt.runs import RunFolder
from workbench.follower import Follower

if TYPE_CHECKING:
    from workbench.recording import ChartData, View

MAX_OVERLAYS = 7
"""With the run that is watched, as many as there are colours."""


class Crowd:
    """Followers that come and go with the choice of runs."""

    def __init__(
        self,
        on_change: Callable[[], None],
        poll_seconds: float = 0.5,
        on_error: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        self.followers: dict[str, Follower] = {}
        self._poll_seconds = poll_seconds
        self._on_change, self._on_error = on_change, on_error
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._is_paused = False

    def follow(self, folders: Sequence[RunFolder], view: View) -> None:
        """Follow these runs (the first few) and no others, in this view."""
        wanted = {folder.name: folder for folder in folders[:MAX_OVERLAYS]}
        for name in [name for name in self.followers if name not in wanted]:
            del self.followers[name]
            self._tasks.pop(name).cancel()
        for name, folder in wanted.items():
            if name not in self.followers:
                follower = Follower(self._on_change, self._poll_seconds, self._on_error)
                self.followers[name] = follower
                follower.pause(self._is_paused)
                self._tasks[name] = asyncio.create_task(follower.run())
            self.followers[name].follow(folder)
            self.followers[name].look(view, None)

    def pause(self, is_paused: bool) -> None:
        """Rest while nobody looks."""
        self._is_paused = is_paused
        for follower in self.followers.values():
            follower.pause(is_paused)

    @property
    def poll_seconds(self) -> float:
        """Time between two looks."""
        return self._poll_seconds

    @poll_seconds.setter
    def poll_seconds(self, seconds: float) -> None:
        self._poll_seconds = seconds
        for follower in self.followers.values():
            follower.poll_seconds = seconds

    @property
    def data(self) -> dict[str, ChartData]:
        """The curves that are ready, by name of the run."""
        return {name: f.data for name, f in self.followers.items() if f.data is not None}

    @property
    def is_behind(self) -> bool:
        """A curve is not yet as it was asked for last."""
        return any(follower.is_behind for follower in self.followers.values())

    async def close(self) -> None:
        """End all followers."""
        tasks = list(self._tasks.values())
        self.followers, self._tasks = {}, {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

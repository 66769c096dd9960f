"""The runs of a folder, kept up to date by reading only what is new.

In: the folder of saved models, the runs that are about to begin. Out: a `RunSummary` for every run, also for the
unreadable ones, refreshed by `Catalog.refresh()` in bounded steps that any thread may take, one at a time. Knows
neither Textual nor numpy.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from kgpt.errors import KgptError
from kgpt.evaluations import Result, results
from kgpt.runs import LIVE_STATES, Checkpoint, RunFolder
from workbench.digest import NUMBERS, MetricsDigest
from workbench.run_summary import RunSummary
from workbench.tail import JsonTail, is_number

STALL_SECONDS = 30.0
"""A running trainer that has written nothing for this long, and for three usual intervals, counts as stalled."""

TRACES = ("run.json", "status.json", "metrics.jsonl", "checkpoints")
"""A folder with any of these is a run, though perhaps a damaged one."""

FEW_STEPS = 10_000_000
"""Fewer than this are surely a number of steps."""

GRACE_SECONDS = 5.0
"""How long a new folder may lack its `run.json` before that is called damage."""


class RunReader:
    """Follows one run folder."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._digest = MetricsDigest(folder.metrics_file)
        self._values: dict[str, Any] = {}
        self._problem = ""
        self._run_signature: tuple[int, int] = (-1, -1)
        self._checkpoints: tuple[Checkpoint, ...] = ()
        self._checkpoint_files: tuple[tuple[int, float], ...] = ()
        self._checkpoints_signature: tuple[int, ...] = ()
        self._evaluations_tail = JsonTail(folder.evaluations_file)
        self._evaluation_rows: list[dict[str, Any]] = []
        self._evaluations: tuple[Result, ...] = ()

    def refresh(self, now: float) -> RunSummary:
        """The run as it stands."""
        self._digest.refresh()
        self._read_run_file()
        self._read_checkpoints()
        self._read_evaluations()
        status = self.folder.status()
        updated = max(_number(status.get("heartbeat")), _modified(self.folder.metrics_file))
        configuration = self._values.get("configuration")
        configuration = configuration if isinstance(configuration, dict) else {}
        best_loss, best_step = self._digest.best or (None, None)
        latest = self._digest.latest
        is_here = status.get("host") == socket.gethostname()
        return RunSummary(
            name=self.folder.name,
            path=self.folder.path,
            state="unreadable" if self._problem else self._state(status, updated, now),
            problem=self._problem,
            error=_error_text(status.get("error")),
            task=str(self._values.get("task") or ""),
            answers=isinstance(self._values.get("template"), dict),
            preset=str(self._values.get("preset") or ""),
            parameters=_whole(self._values.get("parameters")),
            configuration=configuration,
            created=str(self._values.get("created") or ""),
            updated=updated,
            steps=_planned(
                next(filter(is_number, (status.get("steps"), configuration.get("steps"))), None)
            ),
            best_validation_loss=best_loss,
            best_step=_whole(best_step),
            pace=self._digest.pace,
            curve=self._digest.curve.values(),
            checkpoints=self._checkpoints,
            evaluations=self._evaluations,
            checkpoint_files=self._checkpoint_files,
            size=sum(size for size, _ in self._checkpoint_files) + _bytes_of(self.folder.path),
            is_complete=self._digest.is_complete,
            pid=_whole(status.get("pid")) if is_here and status["state"] in LIVE_STATES else None,
            **{name: latest.get(name) for name in NUMBERS},
        )

    def _state(self, status: dict[str, Any], updated: float, now: float) -> str:
        state = str(status["state"])
        silent = now - updated > max(STALL_SECONDS, 3 * self._digest.interval)
        return "stalled" if state == "running" and silent else state

    def _read_run_file(self) -> None:
        signature = _signature(self.folder.run_file)
        if signature == self._run_signature:
            return
        self._run_signature = signature
        try:
            self._values, self._problem = self.folder.read(), ""
        except KgptError as error:
            self._values, self._problem = {}, f"{error.title}: {error.message}"

    def _read_checkpoints(self) -> None:
        """List the checkpoints again where their folder, or what `best` and `last` mean, has changed."""
        place = self.folder.checkpoints_folder
        paths = (place, place / "best.json", place / "last.json")
        signature = tuple(number for path in paths for number in _signature(path))
        if signature != self._checkpoints_signature:
            self._checkpoints = tuple(self.folder.checkpoints())
            self._checkpoint_files = tuple(
                (_bytes_of(item.path), _modified(item.path)) for item in self._checkpoints
            )
            self._checkpoints_signature = signature

    def _read_evaluations(self) -> None:
        found = self._evaluations_tail.read()
        if found.restarted:
            self._evaluation_rows.clear()
        if found.rows or found.restarted:
            self._evaluation_rows += found.rows
            self._evaluations = tuple(results(self._evaluation_rows, translated=True))


class Catalog:
    """All runs of a folder; runs come, change and go between two refreshes."""

    def __init__(
        self,
        root: Path,
        clock: Callable[[], float] = time.time,
        starting: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self.root = root
        self.clock = clock
        self._starting = starting
        self.summaries: tuple[RunSummary, ...] = ()
        self._readers: dict[str, RunReader] = {}

    def refresh(self) -> bool:
        """Bring `summaries` up to date (one chunk of each file); whether any changed."""
        now = self.clock()
        starting = self._starting()
        names = sorted({*self._names(now), *starting})
        self._readers = {
            name: self._readers.get(name) or RunReader(RunFolder(self.root / name))
            for name in names
        }
        found = tuple(
            _on_its_way(summary) if summary.name in starting else summary
            for summary in (reader.refresh(now) for reader in self._readers.values())
        )
        changed = _without_heartbeat(found) != _without_heartbeat(self.summaries)
        self.summaries = found
        return changed

    @property
    def is_complete(self) -> bool:
        """Whether every file has been read to its end."""
        return all(item.is_complete for item in self.summaries)

    def get(self, name: str) -> RunSummary | None:
        """The run called `name`."""
        return next((item for item in self.summaries if item.name == name), None)

    def _names(self, now: float) -> list[str]:
        try:
            places = sorted(place for place in self.root.iterdir() if place.is_dir())
            places = [place for place in places if not place.name.startswith(".")]
        except OSError:
            return []
        return [place.name for place in places if _is_run(place, now)]


def _is_run(place: Path, now: float) -> bool:
    if (place / "run.json").is_file():
        return True
    is_young = now - _modified(place) < GRACE_SECONDS
    return not is_young and any((place / name).exists() for name in TRACES)


def _planned(steps: Any) -> int | None:
    """A number of steps; None while a time budget has not become one."""
    number = _whole(steps)
    if number is None or number < FEW_STEPS:
        return number
    from kgpt.config import UNLIMITED_STEPS  # 30 ms that a list of usual runs does not wait for

    return None if number >= UNLIMITED_STEPS else number


def _on_its_way(summary: RunSummary) -> RunSummary:
    """A run whose trainer has been started and does not own it yet."""
    return replace(summary, state="starting", problem="", error="")


def _bytes_of(folder: Path) -> int:
    """Size of the files right in a folder."""
    try:
        with os.scandir(folder) as entries:
            return sum(item.stat().st_size for item in entries if item.is_file())
    except OSError:
        return 0


def _without_heartbeat(summaries: tuple[RunSummary, ...]) -> tuple[RunSummary, ...]:
    """The summaries with their times of update blanked: a heartbeat alone is no news for a table."""
    return tuple(replace(item, updated=0.0) for item in summaries)


def _error_text(error: Any) -> str:
    if isinstance(error, dict):
        return ": ".join(str(error[key]) for key in ("title", "message") if error.get(key))
    return str(error or "")


def _signature(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


def _modified(path: Path) -> float:
    return _signature(path)[0] / 1e9


def _number(value: Any) -> float:
    return float(value) if is_number(value) else 0.0


def _whole(value: Any) -> int | None:
    return int(value) if is_number(value) else None

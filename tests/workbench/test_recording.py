"""What the Watch screen shows: computed from a run folder, followed while it grows."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import fixture_runs as runs
import numpy as np
import pytest

from kgpt.runs import RunFolder
from workbench.follower import Follower
from workbench.recording import ChartData, Recording, View


def read(path: Path) -> Recording:
    recording = Recording(RunFolder(path))
    while recording.refresh()[1]:
        pass
    return recording


def chart(path: Path, view: View, best: int | None = None) -> ChartData:
    return read(path).chart(view, best)


def test_the_lines_of_a_run(root: Path) -> None:
    run = runs.a_live(root, last=620)
    data = chart(run.path, View(), best=500)
    assert len(data.raw.x) == 62 and list(data.validation.x) == [250, 500]
    assert data.best == (500, run.row(500)["validation_loss"])
    assert set(data.strips) == {"learning_rate", "gradient_norm", "tokens_per_second"}
    assert not data.is_empty and not len(data.broken)


@pytest.mark.parametrize(
    ("axis", "last"), [("step", 620), ("tokens", 620 * 2048), ("hours", 620 * 0.115 / 3600)]
)
def test_x_axes(root: Path, axis: str, last: float) -> None:
    data = chart(runs.a_live(root, last=620).path, View(x_axis=axis))  # type: ignore[arg-type]
    assert data.raw.x[-1] == pytest.approx(last)


def test_smoothing_changes_the_line_and_zero_is_the_line(root: Path) -> None:
    path = runs.a_live(root).path
    rough, smooth = (chart(path, View(smoothing=weight)) for weight in (0.0, 0.95))
    np.testing.assert_array_equal(rough.smoothed.y, rough.raw.y)
    assert np.abs(np.diff(smooth.smoothed.y)).sum() < np.abs(np.diff(rough.raw.y)).sum()


def test_log_scale(root: Path) -> None:
    path = runs.a_live(root).path
    linear, log = chart(path, View()), chart(path, View(is_log=True))
    np.testing.assert_allclose(10**log.raw.y, linear.raw.y)


def test_a_window_does_not_change_the_smoothing(root: Path) -> None:
    path = runs.a_live(root).path
    whole, part = chart(path, View()), chart(path, View(left=300, right=400))
    assert list(part.raw.x) == list(range(290, 420, 10))
    np.testing.assert_array_equal(part.smoothed.y, whole.smoothed.y[28:41])


def test_a_loss_that_is_not_a_number_is_marked(root: Path) -> None:
    data = chart(runs.a_diverged(root).path, View())
    assert list(data.broken) == [710]


def test_a_run_without_rows_is_empty(root: Path) -> None:
    assert chart(runs.a_compiling(root).path, View(), best=3).is_empty


def test_samples_and_log(root: Path) -> None:
    run = runs.a_live(root)
    recording = read(run.path)
    assert [sample["step"] for sample in recording.samples] == [250, 500]
    assert recording.log.lines[-1] == "compiled the first step in 9.1 s"
    run.log("one more")
    assert recording.refresh() == (True, False)
    assert recording.log.total == 3


async def test_the_follower_reports_what_is_new(root: Path) -> None:
    run = runs.a_live(root, last=620)
    seen: list[float] = []
    follower = Follower(lambda: seen.append(follower.data.raw.x[-1] if follower.data else 0), 0.02)
    follower.look(View(), None)
    follower.follow(RunFolder(run.path))
    task = asyncio.create_task(follower.run())
    try:
        await _until(lambda: seen)
        run.metrics(700, first=630)
        await _until(lambda: seen[-1] == 700)
        count = len(seen)
        await asyncio.sleep(0.1)
        assert len(seen) == count, "nothing new, nothing told"
        follower.look(replace(View(), x_axis="tokens"), None)
        await _until(lambda: seen[-1] == 700 * 2048)
        other = runs.a_finished(root)
        follower.follow(RunFolder(other.path))
        await _until(lambda: seen[-1] == 1500 * 2048)
    finally:
        task.cancel()


async def test_a_paused_follower_reads_nothing_and_catches_up(root: Path) -> None:
    run = runs.a_live(root, last=620)
    seen: list[float] = []
    follower = Follower(lambda: seen.append(follower.data.raw.x[-1] if follower.data else 0), 0.02)
    follower.look(View(), None)
    follower.follow(RunFolder(run.path))
    follower.pause(True)
    task = asyncio.create_task(follower.run())
    try:
        await asyncio.sleep(0.1)
        assert not seen
        follower.pause(False)
        await _until(lambda: seen and seen[-1] == 620)
    finally:
        task.cancel()


async def _until(holds: object) -> None:
    for _ in range(400):
        if holds():  # type: ignore[operator]
            return
        await asyncio.sleep(0.01)
    raise AssertionError("waited in vain")

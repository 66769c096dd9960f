"""What the Watch screen shows: computed from a run folder, followed while it grows."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import fixture_runs as runs
import numpy as np
import pytest

from kgpt.runs import RunFolder
from workbench import curves, history
from workbench.curves import FloatArray
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
    assert set(data.strips) == {
        "learning_rate",
        "gradient_norm",
        "tokens_per_second",
        "gap",
        "bits_per_byte",
    }
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


@pytest.fixture
def long_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, FloatArray]:
    """A run of 30,000 rows, of which the pyramid keeps 2,048 stretches; and its training loss."""
    monkeypatch.setitem(history.SIZES, "train_loss", 1024)
    monkeypatch.setattr(history, "WARM_UP_ROWS", 2000)
    run = runs.RunWriter(root / "long").begin()
    loss = 3 + np.random.default_rng(5).normal(0, 0.3, 30_000)
    loss[12_345] = np.nan
    rows = [
        {"step": n + 1, "tokens": 8 * (n + 1), "seconds": n, "train_loss": y}
        for n, y in enumerate(loss)
    ]
    rows[12_345]["train_loss"] = None
    run.append("metrics.jsonl", *rows)
    return run.path, loss


def test_a_long_run_keeps_its_extremes_its_break_and_its_average(
    long_run: tuple[Path, FloatArray],
) -> None:
    path, loss = long_run
    recording = read(path)
    pyramid = recording.history._pyramids["train_loss"]
    assert (pyramid.stretch, pyramid.rows) == (16, 30_000)
    data = recording.chart(View(columns=100), None)
    assert np.nanmin(data.raw.y) == np.nanmin(loss) and np.nanmax(data.raw.y) == np.nanmax(loss)
    assert list(data.broken) == [12_346] and np.isnan(data.raw.y).any()
    assert data.raw.x[-1] == data.smoothed.x[-1] == 30_000
    averaged = dict(zip(np.arange(1, 30_001.0), curves.smooth(loss, 0.9), strict=True))
    for x, y in zip(data.smoothed.x, data.smoothed.y, strict=True):
        assert y == pytest.approx(averaged[x], abs=1e-9)
    assert len(data.raw.x) < 1000


@pytest.mark.parametrize("is_log", [False, True])
def test_a_small_window_of_a_long_run_shows_its_rows(
    long_run: tuple[Path, FloatArray], is_log: bool
) -> None:
    path, loss = long_run
    view = View(left=20_000, right=20_100, columns=100, smoothing=0.98, is_log=is_log)
    data = chart(path, view)
    expected = np.log10(loss) if is_log else loss
    assert list(data.raw.x) == list(range(19_999, 20_102))
    np.testing.assert_allclose(data.raw.y, expected[19_998:20_101])
    np.testing.assert_allclose(
        data.smoothed.y, curves.smooth(expected, 0.98)[19_998:20_101], atol=1e-9
    )


def test_a_window_at_the_end_grows_with_the_run(long_run: tuple[Path, FloatArray]) -> None:
    path, _ = long_run
    recording, view = read(path), View(left=29_900, right=30_100, columns=100)
    assert recording.chart(view, None).raw.x[-1] == 30_000
    runs.RunWriter(path).append("metrics.jsonl", {"step": 30_001, "train_loss": 9.0})
    recording.refresh()
    assert recording.chart(view, None).raw.y[-1] == 9.0


def test_the_gap_between_validation_and_training(root: Path) -> None:
    run = runs.a_live(root, last=620)
    data = chart(run.path, View(smoothing=0))
    losses = [(run.row(s)["validation_loss"], run.row(s)["train_loss"]) for s in (250, 500)]
    assert data.strips["gap"] == pytest.approx([above - below for above, below in losses])


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

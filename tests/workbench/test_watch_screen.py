"""Screen 2, driven as a user would."""

from __future__ import annotations

import json
import time
from pathlib import Path

import fixture_runs as runs
import pytest
from pilots import MakeApp, until
from textual.pilot import Pilot
from textual.widgets import Static

from workbench.app import WorkbenchApp
from workbench.recording import ChartData
from workbench.widgets.log_pane import LogPane
from workbench.widgets.loss_chart import LossChart
from workbench.widgets.run_header import RunHeader
from workbench.widgets.strips import Strips


def data(app: WorkbenchApp) -> ChartData:
    found = app.follower.data
    assert found is not None
    return found


def text_of(app: WorkbenchApp, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).render())


async def drawn(pilot: Pilot[None], last: float | None = None) -> None:
    """Wait for the chart (to reach an x)."""
    app = pilot.app
    assert isinstance(app, WorkbenchApp)

    def holds() -> bool:
        found = app.follower.data
        if found is None or found.is_empty or app.screen.query_one(LossChart)._data is not found:
            return False
        return last is None or found.raw.x[-1] == pytest.approx(last)

    await until(pilot, holds)


async def test_the_run_of_the_command_line(make_app: MakeApp, root: Path) -> None:
    runs.a_zoo(root)
    app = make_app(run_name="encyclopedia")
    async with app.run_test(size=(120, 40)) as pilot:
        await drawn(pilot, 1500)
        header = str(app.screen.query_one(RunHeader).render())
        assert "encyclopedia" in header and "1,500/1,500 steps  100%" in header
        assert "best 1.880 @1.5k" in header
        assert "★ best" in text_of(app, "#legend")
        strips = str(app.screen.query_one(Strips).render())
        assert "learning rate" in strips and "gradient norm" in strips and "▁" in strips


async def test_the_curve_grows_while_it_is_watched(make_app: MakeApp, root: Path) -> None:
    run = runs.a_live(root, last=620)
    app = make_app(run_name="machado", poll_seconds=0.5)
    async with app.run_test(size=(120, 40)) as pilot:
        await drawn(pilot, 620)
        start = time.monotonic()
        run.metrics(700, first=630)
        await drawn(pilot, 700)
        assert time.monotonic() - start < 1.0
        await until(pilot, lambda: "700/2,000" in str(app.screen.query_one(RunHeader).render()))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (runs.a_live, "last update"),
        (runs.a_crashed, "kgpt-train --run tinyshakespeare --resume"),
        (runs.a_compiling, "compiling the first step, for 42s"),
        (runs.a_diverged, "The loss is not a number"),
        (runs.a_finished, "finished at step 1,500 in 2m 52s"),
        (lambda root: runs.a_live(root, age=600), "nothing new for 10m 00s"),
    ],
)
async def test_every_state_is_told_in_words(
    make_app: MakeApp, root: Path, make: object, words: str
) -> None:
    make(root)  # type: ignore[operator]
    app = make_app()
    async with app.run_test(size=(160, 40)) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: app.catalog.summaries)
        await until(pilot, lambda: words in str(app.screen.query_one(RunHeader).render()))


async def test_before_the_first_row_the_wait_is_explained(make_app: MakeApp, root: Path) -> None:
    run = runs.a_compiling(root)
    app = make_app(run_name="fresh")
    async with app.run_test() as pilot:
        await until(pilot, lambda: "compiling" in text_of(app, "#waiting"))
        assert not app.screen.query_one(LossChart).display
        run.metrics(50)
        await drawn(pilot, 50)
        assert app.screen.query_one(LossChart).display


async def test_nan_is_marked(make_app: MakeApp, root: Path) -> None:
    runs.a_diverged(root)
    app = make_app(run_name="too-hot")
    async with app.run_test(size=(120, 40)) as pilot:
        await drawn(pilot)
        assert "not a number" in text_of(app, "#legend")


async def test_the_view_changes_by_key_and_is_remembered(
    make_app: MakeApp, root: Path, tmp_path: Path
) -> None:
    runs.a_live(root, last=620)
    path = tmp_path / "settings.json"
    app = make_app(run_name="machado", settings_path=path)
    async with app.run_test(size=(120, 40)) as pilot:
        await drawn(pilot, 620)
        await pilot.press("x")
        await drawn(pilot, 620 * 2048)
        await pilot.press("x")
        await drawn(pilot, 620 * 0.115 / 3600)
        linear = data(app).raw.y[0]
        await pilot.press("Y", "s")
        await until(pilot, lambda: data(app).view.is_log and data(app).view.smoothing == 0.9)
        assert 10 ** data(app).raw.y[0] == pytest.approx(linear)
        assert "log" in text_of(app, "#legend") and "smoothed 0.9" in text_of(app, "#legend")
        await pilot.press("S", "S", "S", "S")
        await until(pilot, lambda: data(app).view.smoothing == 0)
    kept = json.loads(path.read_text())
    assert (kept["x_axis"], kept["is_log"], kept["smoothing"]) == ("hours", True, 0.0)


async def test_zoom_pan_and_back_by_keys_and_wheel(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app(run_name="encyclopedia")
    async with app.run_test(size=(120, 40)) as pilot:
        await drawn(pilot, 1500)
        await pilot.press("plus", "plus")
        await until(pilot, lambda: data(app).view.left is not None and len(data(app).raw.x) < 100)
        left = data(app).view.left
        await pilot.press("left")
        await until(pilot, lambda: (data(app).view.left or 0) < (left or 0))
        assert "0 shows all" in text_of(app, "#legend")
        await pilot.press("0")
        await until(pilot, lambda: data(app).view.left is None and len(data(app).raw.x) == 150)
        await pilot._post_mouse_events([_wheel()], LossChart, offset=(60, 5))
        await until(pilot, lambda: data(app).view.left is not None)


def _wheel() -> type:
    from textual.events import MouseScrollDown

    return MouseScrollDown


async def test_samples_and_log(make_app: MakeApp, root: Path) -> None:
    run = runs.a_live(root)
    app = make_app(run_name="machado")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "step 500" in text_of(app, "#sample"))
        await pilot.press("comma")
        assert "step 250" in text_of(app, "#sample") and "1 of 2" in text_of(app, "#panel-tabs")
        run.samples(600)
        await until(pilot, lambda: "1 of 3" in text_of(app, "#panel-tabs"))
        await pilot.press("full_stop", "full_stop")
        assert "step 600" in text_of(app, "#sample")
        slider = text_of(app, "#panel-tabs").index("──●")
        await pilot.click("#panel-tabs", offset=(slider, 0))
        await until(pilot, lambda: "step 250" in text_of(app, "#sample"))
        await pilot.press("L")
        log = app.screen.query_one(LogPane)
        await until(pilot, lambda: log.text.endswith("compiled the first step in 9.1 s"))
        run.log("step 700")
        await until(pilot, lambda: log.text.endswith("step 700"))
        await pilot.press("a")
        assert app.screen.query_one("#panel-pages").current == "samples"  # type: ignore[attr-defined]
        await pilot.click("#panel-tabs", offset=(13, 0))
        await until(pilot, lambda: app.screen.query_one("#panel-pages").current == "log")  # type: ignore[attr-defined]


async def test_the_log_filtered_and_wrapped(make_app: MakeApp, root: Path) -> None:
    run = runs.a_live(root)
    run.log("Error: " + "long " * 60)
    app = make_app(run_name="machado")
    async with app.run_test(size=(80, 30)) as pilot:
        log = app.screen.query_one(LogPane)
        await until(pilot, lambda: "long" in log.text)
        await pilot.press("slash", *"error")
        await until(pilot, lambda: len(log.text.splitlines()) == 1 and "Error" in log.text)
        run.log("another error", "nothing")
        await until(pilot, lambda: log.text.endswith("another error"))
        await pilot.press("enter")
        height = app.screen.query_one("#log-lines").size.height
        await pilot.press("w")
        await until(pilot, lambda: app.screen.query_one("#log-lines").size.height > height)
        await pilot.press("escape")
        await until(pilot, lambda: log.text.endswith("nothing"))
        assert app.current_mode == "watch"


async def test_another_run(make_app: MakeApp, root: Path) -> None:
    runs.a_zoo(root)
    app = make_app(run_name="encyclopedia")
    async with app.run_test() as pilot:
        await drawn(pilot, 1500)
        await pilot.press("right_square_bracket", "right_square_bracket")
        await drawn(pilot, 620)
        assert app.chosen_run == "machado"
        await pilot.press("left_square_bracket", "left_square_bracket")
        await drawn(pilot, 1500)


async def test_maximise_back_and_out(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app(run_name="encyclopedia")
    async with app.run_test() as pilot:
        await drawn(pilot)
        height = app.screen.query_one(LossChart).size.height
        await pilot.press("z")
        await until(pilot, lambda: app.screen.query_one(LossChart).size.height > height)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen.query_one(LossChart).size.height == height)
        await pilot.press("escape")
        assert app.current_mode == "runs"


@pytest.mark.long
async def test_a_long_file_is_drawn_while_it_is_read(make_app: MakeApp, root: Path) -> None:
    """The first part of the curve is there, and keys are answered, before the last row has been read."""
    run = runs.a_finished(root)
    line = json.dumps(run.row(20)) + "\n"
    with open(run.path / "metrics.jsonl", "w") as file:
        file.writelines([line] * 200_000)
    app = make_app(run_name="encyclopedia", poll_seconds=0.5)
    async with app.run_test(size=(120, 40)) as pilot:
        await drawn(pilot)
        assert app.follower.is_reading, "drawn before all is read"
        await pilot.press("Y")
        assert "log" in text_of(app, "#legend")
        await until(
            pilot,
            lambda: not app.follower.is_reading and len(app.follower.recording.history) == 200_000,
        )  # type: ignore[union-attr]

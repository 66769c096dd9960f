"""Screen 2, its finer parts: several runs, crosshair, follow, notes, events, banners, exports, endings."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path
from typing import Any

import fixture_runs as runs
import pytest
from pilots import MakeApp, until
from test_run_actions import notes, state_is
from test_watch_screen import data, drawn, text_of
from textual.pilot import Pilot
from textual.widgets import Input

from kgpt.files import read_json_lines
from workbench.app import WorkbenchApp
from workbench.screens.dialogs import AskScreen
from workbench.widgets.log_pane import LogPane
from workbench.widgets.loss_chart import LossChart
from workbench.widgets.run_header import RunHeader
from workbench.widgets.side_panel import SidePanel


def colors_drawn(app: WorkbenchApp) -> set[str]:
    """Colours of the lines on the chart."""
    return {
        str(line.line_style)
        for line in app.screen.query_one(LossChart)._datasets
        if hasattr(line, "line_style")
    }


async def answer(pilot: Pilot[None], text: str) -> None:
    """Answer the question that is being asked."""
    app = pilot.app
    await until(pilot, lambda: isinstance(app.screen, AskScreen) and isinstance(app.focused, Input))
    app.screen.query_one("#answer", Input).value = text
    await pilot.press("enter")


async def test_several_runs_on_one_chart(make_app: MakeApp, root: Path) -> None:
    runs.a_zoo(root)
    app = make_app(run_name="encyclopedia")
    app.comparison.overlaid = ["machado", "tinyshakespeare", "damaged", "gone"]
    async with app.run_test(size=(120, 40)) as pilot:
        await drawn(pilot, 1500)
        await until(pilot, lambda: len(app.crowd.data) == 2)
        looks = app.run_looks(["machado", "tinyshakespeare", "encyclopedia"])
        await until(pilot, lambda: colors_drawn(app) == {look.color for look in looks.values()})
        legend = text_of(app, "#legend")
        assert all(f"━{look.mark}━ {name}" in legend for name, look in looks.items())
        await pilot.press("x")
        await until(pilot, lambda: app.crowd.data["machado"].raw.x[-1] == 620 * 2048)
        await pilot.press("h")
        machado = f"{looks['machado'].mark} machado"
        await until(pilot, lambda: f"{machado} –" in text_of(app, "#legend"))
        await pilot.hover(LossChart, offset=(40, 6))
        await until(pilot, lambda: re.search(machado + r" \d\.\d{4}", text_of(app, "#legend")))
        await pilot.press("right_square_bracket", "right_square_bracket")
        await until(pilot, lambda: set(app.crowd.followers) == {"tinyshakespeare"})
        assert app.chosen_run == "machado"
        await pilot.press("space")
        await until(pilot, lambda: app.comparison.overlaid[0] == "tinyshakespeare")
        app.comparison.overlay("tinyshakespeare")
        await until(pilot, lambda: not app.crowd.followers)
        await until(pilot, lambda: "train (smoothed" in text_of(app, "#legend"))


async def test_all_runs_change_in_one_frame(
    make_app: MakeApp, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.screens.watch.PATIENCE_SECONDS", 60)
    runs.a_zoo(root)
    app = make_app(run_name="encyclopedia")
    app.comparison.overlaid = ["machado", "tinyshakespeare"]
    async with app.run_test(size=(120, 40)) as pilot:
        await drawn(pilot, 1500)
        await until(pilot, lambda: len(app.crowd.data) == 2 and not app.crowd.is_behind)
        scales: list[set[bool]] = []
        show = LossChart.show

        def note(chart: LossChart, data: Any, look: Any, overlays: Any, marks: Any) -> None:
            scales.append({data.view.is_log, *(item.data.view.is_log for item in overlays)})
            show(chart, data, look, overlays, marks)

        monkeypatch.setattr(LossChart, "show", note)
        await pilot.press("Y")
        await until(pilot, lambda: scales and scales[-1] == {True})
        assert all(len(found) == 1 for found in scales), "never one scale over another"


async def test_a_run_that_is_late_does_not_hold_the_others_up(
    make_app: MakeApp, root: Path
) -> None:
    runs.a_zoo(root)
    app = make_app(run_name="encyclopedia")
    app.comparison.overlaid = ["machado"]
    async with app.run_test(size=(120, 40)) as pilot:
        await drawn(pilot, 1500)
        await until(pilot, lambda: len(app.crowd.data) == 1 and not app.crowd.is_behind)
        app.crowd._tasks["machado"].cancel()
        await pilot.press("Y")
        chart = app.screen.query_one(LossChart)
        await until(pilot, lambda: chart._data is not None and chart._data.view.is_log)
        assert app.crowd.is_behind


async def test_the_table_behind_it_does_not_turn_it_to_another_run(
    make_app: MakeApp, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.screens.runs.AGE_SECONDS", 0.1)
    runs.a_zoo(root)
    app = make_app(run_name="encyclopedia")
    async with app.run_test(size=(120, 40)) as pilot:
        await drawn(pilot, 1500)
        await pilot.pause(0.5)
        assert app.chosen_run == "encyclopedia"


async def test_an_overlaid_run_grows_too(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    run = runs.a_live(root, last=620)
    app = make_app(run_name="encyclopedia")
    app.comparison.overlaid = ["machado"]
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "machado" in app.crowd.data)
        run.metrics(700, first=630)
        await until(pilot, lambda: app.crowd.data["machado"].raw.x[-1] == 700)


async def test_the_crosshair_reads_real_rows(make_app: MakeApp, root: Path) -> None:
    run = runs.a_live(root, last=620)
    app = make_app(run_name="machado")
    async with app.run_test(size=(160, 40)) as pilot:
        await drawn(pilot, 620)
        await pilot.press("h")
        assert text_of(app, "#legend").startswith("step 620")
        await pilot.press("h")
        await until(pilot, lambda: "step 61" in text_of(app, "#legend"))
        for _ in range(12):
            await pilot.press("h")
        read = text_of(app, "#legend")
        step = int(re.search(r"step (\d+)", read)[1])  # type: ignore[index]
        assert step % 10 == 0 and step < 610
        assert f"train {run.row(step)['train_loss']:.4f}" in read
        assert f"norm {run.row(step)['gradient_norm']:.3g}" in read
        evaluated = 500 if step >= 500 else 250
        assert f"val {run.row(evaluated)['validation_loss']:.4f}" in read
        await pilot.press("l")
        later = int(re.search(r"step (\d+)", text_of(app, "#legend"))[1])  # type: ignore[index]
        assert later > step
        await pilot.press("y")
        assert app.clipboard.startswith(f"step {later}")
        await pilot.press("Y")
        await until(pilot, lambda: data(app).view.is_log)
        assert f"step {later}" in text_of(app, "#legend")
        await pilot.press("escape")
        assert "train (smoothed" in text_of(app, "#legend") and app.current_mode == "watch"
        await pilot.press("y")
        assert app.clipboard == str(run.path.resolve())


async def test_the_mouse_takes_the_crosshair_along(make_app: MakeApp, root: Path) -> None:
    run = runs.a_finished(root)
    app = make_app(run_name="encyclopedia")
    async with app.run_test(size=(120, 40)) as pilot:
        await drawn(pilot, 1500)
        await pilot.hover(LossChart, offset=(60, 6))
        await until(pilot, lambda: text_of(app, "#legend").startswith("step "))
        near = text_of(app, "#legend")
        step = int(re.search(r"step (\d+)", near)[1])  # type: ignore[index]
        assert 600 < step < 850 and f"{run.row(step)['train_loss']:.4f}" in near
        await pilot.hover(LossChart, offset=(100, 6))
        await until(pilot, lambda: text_of(app, "#legend") != near)


async def test_following_the_end_while_zoomed(make_app: MakeApp, root: Path) -> None:
    run = runs.a_live(root, last=620)
    app = make_app(run_name="machado")
    async with app.run_test(size=(120, 40)) as pilot:
        await drawn(pilot, 620)
        await pilot.press("plus", "plus", "f")
        await until(pilot, lambda: data(app).view.right == 620)
        assert "following" in text_of(app, "#legend")
        width = 620 - (data(app).view.left or 0)
        run.metrics(700, first=630)
        await until(pilot, lambda: data(app).view.right == 700)
        assert 700 - (data(app).view.left or 0) == pytest.approx(width)
        await pilot.press("left")
        await until(pilot, lambda: "0 shows all" in text_of(app, "#legend"))
        run.metrics(720, first=710)
        await until(pilot, lambda: data(app).last_x == 720)
        assert (data(app).view.right or 0) < 720, "who looks back is left alone"


async def test_a_note_is_kept_and_marked(make_app: MakeApp, root: Path) -> None:
    run = runs.a_live(root, last=620)
    app = make_app(run_name="machado")
    async with app.run_test(size=(120, 40)) as pilot:
        await drawn(pilot, 620)
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        await pilot.press(*"rate halved", "enter")
        await until(pilot, lambda: "✎" in str(app.screen.query_one(LossChart)._marks))
        assert list(read_json_lines(run.path / "notes.jsonl")) == [
            {"step": 620, "text": "rate halved"}
        ]
        await pilot.press("v")
        await until(pilot, lambda: "rate halved" in text_of(app, "#events-text"))
        assert "checkpoint, validation 2.314, the best, the last" in text_of(app, "#events-text")


async def test_events_of_a_run_that_went_on_and_back(make_app: MakeApp, root: Path) -> None:
    run = runs.a_diverged(root)
    run.log(
        "2026-09-19T08:01:00 Going on from step 300.",
        "2026-09-19T08:02:00 The loss has jumped to 9.000 at step 620, and stayed there. Back to step 500,"
        " and on with batch 620 (1 of 3 times).",
    )
    app = make_app(run_name="too-hot")
    async with app.run_test(size=(120, 40)) as pilot:
        await drawn(pilot)
        await until(pilot, lambda: "resumed" in text_of(app, "#events-text"))
        lines = text_of(app, "#events-text").splitlines()
        assert [line[0] for line in lines] == ["✗", "★", "↶", "↻"] or [
            line[0] for line in lines
        ] == [
            "✗",
            "↶",
            "★",
            "↻",
        ]
        assert "step     300" in lines[-1] and "710" in lines[0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (runs.a_diverged, "not a number at step 710; last good checkpoint 500"),
        (runs.a_crashed, "r resumes it"),
        (runs.a_finished, "finished: validation 1.880 at step 1,500"),
        (lambda root: runs.a_live(root, age=600), "X stops it"),
    ],
)
async def test_banners(make_app: MakeApp, root: Path, make: object, words: str) -> None:
    make(root)  # type: ignore[operator]
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: words in text_of(app, "#banner"))
        assert app.screen.query_one("#banner").display


async def test_a_healthy_run_has_no_banner(make_app: MakeApp, root: Path) -> None:
    runs.a_live(root)
    app = make_app(run_name="machado")
    async with app.run_test(size=(120, 40)) as pilot:
        await drawn(pilot, 620)
        assert not app.screen.query_one("#banner").display


async def test_the_last_words_of_a_run_that_died(make_app: MakeApp, root: Path) -> None:
    runs.a_crashed(root)
    (root / ".tinyshakespeare.output.txt").write_text("noise\nterminate called: bad_alloc\n")
    app = make_app(run_name="tinyshakespeare")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "bad_alloc" in text_of(app, "#log-lines"))
        assert app.screen.query_one(SidePanel).tab == "log", "the log is what one wants to see"
        assert "Killed" in app.screen.query_one(LogPane).text


async def test_resume_and_stop_from_here(make_app: MakeApp, root: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        app.launcher.start("mine", [])
        await state_is(pilot, "mine", "running")
        app.open_run("watch", "mine")
        await drawn(pilot)
        await pilot.press("X", "y")
        await state_is(pilot, "mine", "stopped")
        await until(pilot, lambda: "■ mine" in notes(app))
        await until(pilot, lambda: "stopped" in str(app.screen.query_one(RunHeader).render()))
        await pilot.press("r")
        await state_is(pilot, "mine", "running")
        await pilot.press("X", "y")
        await state_is(pilot, "mine", "stopped")


async def test_a_run_that_finishes_rings(
    make_app: MakeApp, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs.a_live(root)
    app = make_app()
    rung: list[int] = []
    monkeypatch.setattr(app, "bell", lambda: rung.append(1))
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.catalog.summaries)
        run.status("finished", pid=os.getpid())
        await until(pilot, lambda: "✓ machado" in notes(app))
        assert rung == [1]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
async def test_export_of_the_rows(
    make_app: MakeApp, root: Path, tmp_path: Path, ending: str
) -> None:
    run, other = runs.a_finished(root), runs.a_live(root, last=620)
    app = make_app(run_name="encyclopedia")
    app.comparison.overlaid = ["machado"]
    path = tmp_path / f"curves.{ending}"
    async with app.run_test(size=(120, 40)) as pilot:
        await drawn(pilot, 1500)
        await pilot.press("e")
        await answer(pilot, str(path))
        await until(pilot, lambda: "212 rows" in notes(app))
        await pilot.press("e")
        await answer(pilot, str(path))
        await until(pilot, lambda: "File exists" in notes(app))
    if ending == "csv":
        with open(path, newline="") as file:
            found = list(csv.DictReader(file))
        assert float(found[24]["validation_loss"]) == run.row(250)["validation_loss"]
        assert found[0]["validation_loss"] == ""
    else:
        found = [json.loads(line) for line in path.read_text().splitlines()]
        assert found[24] == {"run": "encyclopedia", **run.row(250)}
    assert [row["run"] for row in found] == ["encyclopedia"] * 150 + ["machado"] * 62
    assert float(found[-1]["train_loss"]) == other.row(620)["train_loss"]


async def test_export_of_a_picture_and_of_nothing(
    make_app: MakeApp, root: Path, tmp_path: Path
) -> None:
    runs.a_finished(root)
    app = make_app(run_name="encyclopedia")
    async with app.run_test(size=(120, 40)) as pilot:
        await drawn(pilot, 1500)
        for name, words in (("chart.svg", "a picture"), ("chart.png", "Unknown format")):
            await pilot.press("e")
            await answer(pilot, str(tmp_path / name))
            await until(pilot, lambda words=words: words in notes(app))  # type: ignore[misc]
    svg = (tmp_path / "chart.svg").read_text()
    assert svg.startswith("<svg") and "validation" in svg and "Samples" not in svg
    assert any("⠁" <= letter <= "⣿" for letter in svg)
    assert not (tmp_path / "chart.png").exists()


@pytest.mark.parametrize("key", ["m", "e", "X", "r"])
async def test_read_only(make_app: MakeApp, root: Path, key: str) -> None:
    runs.a_crashed(root)
    app = make_app(run_name="tinyshakespeare", is_read_only=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await drawn(pilot)
        before = app.screen
        await pilot.press(key)
        assert app.screen is before and not app._notifications


async def test_configuration_and_checkpoints(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app(run_name="encyclopedia")
    async with app.run_test(size=(120, 40)) as pilot:
        await drawn(pilot, 1500)
        await pilot.press("C")
        assert "optimizer.learning_rate" in text_of(app, "#configuration-text")
        assert app.screen.query_one("#configuration").display
        await pilot.press("c")
        assert "★ best" in text_of(app, "#checkpoints-text")
        assert app.screen.query_one("#checkpoints").display

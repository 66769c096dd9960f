"""Screen 1, driven as a user would."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import fixture_runs as runs
import pytest
from pilots import MakeApp, until
from textual.pilot import Pilot
from textual.widgets import Input, Static

from kgpt.files import append_json_line
from kgpt.runs import RunFolder
from workbench.app import WorkbenchApp
from workbench.widgets.run_details import RunDetails
from workbench.widgets.run_table import RunTable


def shown(app: WorkbenchApp) -> dict[str, list[str]]:
    """The table as text, by run."""
    table = app.screen.query_one(RunTable)
    rows = [[cell.plain for cell in table.get_row_at(n)] for n in range(table.row_count)]
    return {row[0].split()[1]: row for row in rows}


def text_of(app: WorkbenchApp, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).render())


async def ready(pilot: Pilot[None], count: int = 6) -> None:
    app = pilot.app
    await until(pilot, lambda: app.screen.query_one(RunTable).row_count == count)


async def test_an_empty_folder_says_how_to_begin(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: "kgpt-train" in text_of(app, "#empty"))
        await pilot.press("enter", "g", "y", "s", "slash", "j")
        assert app.current_mode == "runs"


async def test_a_folder_that_is_not_there_yet(make_app: MakeApp, root: Path) -> None:
    root.rmdir()
    app = make_app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: "kgpt-train" in text_of(app, "#empty"))
        root.mkdir()
        runs.a_finished(root)
        await until(pilot, lambda: "encyclopedia" in shown(app))


async def test_every_run_has_a_row_with_its_figures(make_app: MakeApp, root: Path) -> None:
    runs.a_zoo(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        rows = shown(app)
        assert rows["machado"][:4] == ["● machado", "running", "char-gpu 10.7M", "620/2,000"]
        assert rows["encyclopedia"][0].startswith("✓") and rows["encyclopedia"][-1].startswith("█")
        assert rows["damaged"][1] == "unreadable"
        assert list(rows)[:2] == ["fresh", "machado"], "live runs come first"


async def test_a_new_run_and_new_rows_appear_within_a_second(make_app: MakeApp, root: Path) -> None:
    run = runs.a_live(root, last=620)
    app = make_app(poll_seconds=0.5)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, 1)
        run.metrics(700, first=630)
        start = time.monotonic()
        await until(pilot, lambda: shown(app)["machado"][3] == "700/2,000")
        assert time.monotonic() - start < 1.0
        runs.a_finished(root)
        await until(pilot, lambda: "encyclopedia" in shown(app))
        shutil.rmtree(run.path)
        await until(pilot, lambda: list(shown(app)) == ["encyclopedia"])


async def test_the_cursor_stays_on_its_run(make_app: MakeApp, root: Path) -> None:
    runs.a_zoo(root)
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("j", "j")
        chosen = app.screen.query_one(RunTable).chosen
        runs.a_live(root, "another")
        await ready(pilot, 7)
        assert app.screen.query_one(RunTable).chosen == chosen
        await pilot.press("s")
        assert app.screen.query_one(RunTable).chosen == chosen


async def test_the_star_is_for_the_lowest_loss_of_a_task(make_app: MakeApp, root: Path) -> None:
    """A classifier's loss lies far below that of a text, and says nothing about it."""
    runs.a_finished(root, "writer")
    runs.RunWriter(root / "better", scale=0.9).begin().metrics(1500)
    runs.RunWriter(root / "spam", scale=0.1).begin(task="classification").metrics(1500)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, 3)
        table = app.screen.query_one(RunTable)
        stars = {
            run: "★" in str(table.get_cell(run, "best")) for run in ("writer", "better", "spam")
        }
        assert stars == {"writer": False, "better": True, "spam": True}


async def test_filter(make_app: MakeApp, root: Path) -> None:
    runs.a_zoo(root)
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("slash", *"char running")
        await ready(pilot, 1)
        assert list(shown(app)) == ["machado"]
        await pilot.press("enter", "down")
        assert app.screen.query_one(RunTable).has_focus
        await pilot.press("escape")
        await ready(pilot, 6)
        assert not app.screen.query_one("#filter", Input).display


async def test_sort_by_key_and_by_mouse(make_app: MakeApp, root: Path) -> None:
    runs.a_zoo(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        table = app.screen.query_one(RunTable)
        assert table.sort_column == "state"
        await pilot.click(RunTable, offset=(3, 0))
        assert list(shown(app)) == sorted(shown(app))
        await pilot.click(RunTable, offset=(3, 0))
        assert list(shown(app)) == sorted(shown(app), reverse=True)
        await pilot.press("s", "s", "s")
        assert table.sort_column == "step"
        assert list(shown(app))[0] == "damaged"
        await pilot.press("S")
        assert list(shown(app))[1] == "encyclopedia"


async def test_details_show_configuration_and_checkpoints(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, 1)
        await until(pilot, lambda: "1,500" in text_of(app, "#details-checkpoints"))
        checkpoints = text_of(app, "#details-checkpoints")
        assert "★ best" in checkpoints and "last" in checkpoints
        assert "encyclopedia" in text_of(app, "#details-configuration")
        assert "finished at step 1,500" in text_of(app, "#details-head")


async def test_details_show_evaluations_as_they_come(make_app: MakeApp, root: Path) -> None:
    folder = RunFolder(runs.a_finished(root).path)
    app = make_app(poll_seconds=0.2)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, 1)
        await until(pilot, lambda: "1,500" in text_of(app, "#details-checkpoints"))
        assert not app.screen.query_one("#details-evaluations").display
        row = {"step": 1500, "task": "blimp", "file": "x/BLiMP.zip", "accuracy": 0.75}
        append_json_line(folder.evaluations_file, {**row, "accuracy_error": 0.01})
        await until(pilot, lambda: bool(app.screen.query_one("#details-evaluations").display))
        shown = text_of(app, "#details-evaluations")
        assert "blimp, BLiMP.zip  step 1,500" in shown and "75.0% ± 1.0%" in shown
        append_json_line(folder.evaluations_file, {**row, "accuracy": 0.5})
        await until(pilot, lambda: "50.0%" in text_of(app, "#details-evaluations"))
        assert "75.0%" not in text_of(app, "#details-evaluations")


async def test_an_unreadable_run_tells_why(make_app: MakeApp, root: Path) -> None:
    runs.an_unreadable(root)
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot, 1)
        assert "run.json" in text_of(app, "#details-head")
        assert not app.screen.query_one(RunDetails).query_one("#details-columns").display
        await pilot.press("enter")
        assert app.current_mode == "runs"
        assert any("cannot be read" in note.title for note in app._notifications)


@pytest.mark.parametrize(
    ("key", "mode"),
    [("enter", "watch"), ("g", "generate"), ("o", "generate"), ("2", "watch"), ("3", "generate")],
)
async def test_keys_to_the_other_screens(
    make_app: MakeApp, root: Path, key: str, mode: str
) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot, 1)
        await pilot.press(key)
        assert app.current_mode == mode
        assert app.chosen_run == "encyclopedia"


async def test_by_mouse_alone(make_app: MakeApp, root: Path) -> None:
    runs.a_zoo(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await pilot.click(RunTable, offset=(5, 2))
        assert app.screen.query_one(RunTable).chosen == "machado"
        await pilot.click(RunTable, offset=(5, 2))
        await until(pilot, lambda: app.current_mode == "watch")
        await pilot.click("TopBar", offset=(26, 0))
        await until(pilot, lambda: app.current_mode == "generate")
        await pilot.click("TopBar", offset=(9, 0))
        await until(pilot, lambda: app.current_mode == "runs")


async def test_copying_the_path(make_app: MakeApp, root: Path) -> None:
    run = runs.a_finished(root)
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot, 1)
        await pilot.press("y")
        assert app.clipboard == str(run.path.resolve())


async def test_a_run_without_a_checkpoint_cannot_write(make_app: MakeApp, root: Path) -> None:
    runs.a_compiling(root)
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot, 1)
        await pilot.press("g")
        assert app.current_mode == "runs"
        assert any("no checkpoint" in note.title for note in app._notifications)


async def test_help_theme_palette_and_back(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot, 1)
        await pilot.press("question_mark")
        assert app.screen.query("#help")
        await pilot.press("escape")
        assert not app.screen.query("#help")
        before = app.theme
        await pilot.press("t")
        assert app.theme != before
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert "Open run encyclopedia" in titles and "Runs: Sort by the next column" in titles
        await pilot.press("ctrl+p", *"sort by", "enter")
        await until(
            pilot,
            lambda: (
                app.screen.query(RunTable) and app.screen.query_one(RunTable).sort_column == "model"
            ),
        )


@pytest.mark.parametrize("is_read_only", [False, True])
async def test_read_only_offers_no_screenshot(make_app: MakeApp, is_read_only: bool) -> None:
    app = make_app(is_read_only=is_read_only)
    async with app.run_test():
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert ("Screenshot" in titles) is not is_read_only


@pytest.mark.parametrize(
    "theme", ["kgpt-light", "ansi-dark", "textual-ansi", "nord", "not-a-theme"]
)
async def test_themes(make_app: MakeApp, root: Path, theme: str) -> None:
    runs.a_zoo(root)
    app = make_app()
    app.settings.theme = theme
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: app.follower.data is not None)
        await pilot.press("3")
        assert app.current_mode == "generate"


async def test_no_color(make_app: MakeApp, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    runs.a_zoo(root)
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot)
        assert app.no_color
        assert "● machado" in {row[0] for row in shown(app).values()}


async def test_a_terminal_resized_to_nothing_and_back(make_app: MakeApp, root: Path) -> None:
    runs.a_zoo(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        for key in ("1", "2", "alt+3"):
            await pilot.press(key)
            for size in ((1, 1), (20, 5), (200, 60), (80, 24)):
                await pilot.resize_terminal(*size)
                await pilot.pause()
        assert app.is_running


async def test_rows_come_before_the_news_of_another_width(
    make_app: MakeApp, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A screen that comes back is filled before its table hears that the terminal has become narrower."""
    runs.a_zoo(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        table = app.screen.query_one(RunTable)
        wide = len(table.columns)
        monkeypatch.setattr(RunTable, "on_resize", lambda self: None)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: table.size.width < 90)
        app.screen.show_runs()
        assert 0 < len(table.columns) < wide


async def test_folders_deleted_under_it(make_app: MakeApp, root: Path) -> None:
    runs.a_zoo(root)
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "watch")
        shutil.rmtree(root)
        await until(pilot, lambda: not app.catalog.summaries)
        await pilot.press("1")
        await until(pilot, lambda: "kgpt-train" in text_of(app, "#empty"))


async def test_a_run_that_turns_live_to_finished(make_app: MakeApp, root: Path) -> None:
    run = runs.a_live(root)
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot, 1)
        run.status("finished", pid=os.getpid())
        await until(pilot, lambda: shown(app)["machado"][1] == "finished")

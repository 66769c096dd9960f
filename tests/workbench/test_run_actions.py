"""Runs started, stopped, resumed, renamed, deleted, exported and compared from the Runs screen."""

from __future__ import annotations

import shutil
from pathlib import Path

import fixture_runs as runs
import pytest
from pilots import MakeApp, until
from test_runs_screen import ready, shown, text_of
from textual.pilot import Pilot
from textual.widgets import Input, Select

from kgpt.runs import RunFolder
from workbench.app import WorkbenchApp
from workbench.screens.dialogs import AskScreen, ConfirmScreen
from workbench.screens.export_run import ExportScreen
from workbench.screens.new_run import NewRunScreen
from workbench.widgets.run_table import RunTable


def notes(app: WorkbenchApp) -> str:
    return "\n".join(f"{note.title}: {note.message}" for note in app._notifications)


async def state_is(pilot: Pilot[None], name: str, state: str) -> None:
    app = pilot.app
    assert isinstance(app, WorkbenchApp)

    def holds() -> bool:
        run = app.catalog.get(name)
        return run is not None and run.state == state

    await until(pilot, holds)


async def test_a_whole_life_of_a_run(make_app: MakeApp, root: Path) -> None:
    """New, stop, resume, stop again and kill, delete: with a real process."""
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "train the demo" in text_of(app, "#empty"))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, NewRunScreen))
        assert app.screen.query_one("#new-name", Input).value == "demo"
        assert text_of(app, "#new-line").startswith("kgpt-train --run demo")
        await pilot.press("ctrl+g")
        await state_is(pilot, "demo", "running")
        assert app.chosen_run == "demo" and "Training demo" in notes(app)
        pid = RunFolder(root / "demo").status()["pid"]
        await pilot.press("X")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("n")
        await pilot.pause(0.2)
        assert app.catalog.summaries[0].state == "running", "no means no"
        await pilot.press("X", "y")
        await state_is(pilot, "demo", "stopped")
        await pilot.press("r")
        await state_is(pilot, "demo", "running")
        assert RunFolder(root / "demo").status()["pid"] != pid
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        await pilot.press(*"demo", "enter")
        await until(pilot, lambda: "Run in use" in notes(app))
        assert (root / "demo").exists(), "a run at work is not deleted"
        await pilot.press("X", "y")
        await state_is(pilot, "demo", "stopped")
        await until(pilot, lambda: not app.launcher._started)
        await pilot.press("d", *"demo", "enter")
        await until(pilot, lambda: "train the demo" in text_of(app, "#empty"))
        assert list(root.iterdir()) == []


async def test_the_second_stop_kills_and_says_what_is_lost(make_app: MakeApp, root: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        app.launcher.start("deaf", ["--manner", "deaf"])
        await state_is(pilot, "deaf", "running")
        await until(pilot, lambda: app.screen.query_one(RunTable).chosen == "deaf")
        await pilot.press("X", "y")
        await state_is(pilot, "deaf", "stopping")
        await pilot.press("X")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert "is lost" in app.screen.text  # type: ignore[attr-defined]
        await pilot.press("y")
        await state_is(pilot, "deaf", "crashed")


async def test_a_trainer_goes_on_when_the_workbench_leaves_and_is_found_again(
    make_app: MakeApp, root: Path
) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        app.launcher.start("mine", [])
        await state_is(pilot, "mine", "running")
        await pilot.press("q")
    folder = RunFolder(root / "mine")
    step = folder.status()["step"]
    later = make_app()
    async with later.run_test() as pilot:
        await until(pilot, lambda: (folder.status()["step"] or 0) > step)
        await state_is(pilot, "mine", "running")
        await pilot.press("X", "y")
        await until(
            pilot, lambda: app.launcher.poll() == [] and folder.status()["state"] == "stopped"
        )


async def test_a_trainer_that_refuses_tells_why(make_app: MakeApp, root: Path) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        app.launcher.start("mine", ["--manner", "refuses"])
        await until(pilot, lambda: "mine: No prepared data" in notes(app))
        assert "Prepare it." in notes(app)
        await until(pilot, lambda: not app.catalog.summaries)


async def test_the_form_plans_while_one_types(
    make_app: MakeApp, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.runs.has_read)
        await pilot.press("n")
        await until(pilot, lambda: "1,377,024" in text_of(app, "#new-plan"))
        assert "fits" in text_of(app, "#new-plan")
        form = app.screen
        form.query_one("#new-preset", Select).value = "gpt2-1558m"
        form.query_one("#new-limit", Select).value = "steps"
        form.query_one("#new-amount", Input).value = "300"
        await until(pilot, lambda: "1,557,611,200" in text_of(app, "#new-plan"))
        assert "300 × 8,192 tokens" in text_of(app, "#new-plan")
        name = form.query_one("#new-name", Input)
        assert name.value == "gpt2-1558m", "the name follows the preset ..."
        name.value = "mine"
        form.query_one("#new-preset", Select).value = "gpt2-774m"
        await until(pilot, lambda: "--preset gpt2-774m" in text_of(app, "#new-line"))
        assert name.value == "mine", "... until one is typed"
        name.value = ""
        form.query_one("#new-preset", Select).value = "gpt2-1558m"
        await until(pilot, lambda: name.value == "gpt2-1558m")
        form.query_one("#new-options", Input).value = "--set model.num_layers=2 --batch-size 3"
        await until(pilot, lambda: "300 × 3,072 tokens" in text_of(app, "#new-plan"))
        await pilot.press("ctrl+y")
        assert app.clipboard.startswith(
            "kgpt-train --preset gpt2-1558m --steps 300 --set model.num_layers=2 --batch-size 3"
        )
        form.query_one("#new-options", Input).value = "--set model.num_layers=none"
        await until(pilot, lambda: "num_layers" in text_of(app, "#new-plan"))
        form.query_one("#new-options", Input).value = "--set 'model"
        await until(pilot, lambda: "quotation" in text_of(app, "#new-plan"))
        await pilot.press("ctrl+g")
        assert app.screen is form and list(root.iterdir()) == [], "the form stays"
        await pilot.press("escape")
        assert app.screen is not form


async def test_the_cursor_goes_to_the_run_that_has_been_started(
    make_app: MakeApp, root: Path
) -> None:
    runs.a_live(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, 1)
        await pilot.press("X")
        await until(pilot, lambda: "Not the run's process" in notes(app))
        assert not isinstance(app.screen, ConfirmScreen), "nothing is asked that cannot be done"
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, NewRunScreen))
        await pilot.press("ctrl+g")
        await state_is(pilot, "demo", "running")
        await until(pilot, lambda: app.screen.query_one(RunTable).chosen == "demo")
        await pilot.press("X", "y")
        await state_is(pilot, "demo", "stopped")


async def test_the_cursor_comes_back_to_the_run_that_was_watched(
    make_app: MakeApp, root: Path
) -> None:
    runs.a_zoo(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        app.screen.query_one(RunTable).move_to("machado")
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "watch")
        await pilot.press("right_square_bracket")
        watched = app.chosen_run
        assert watched not in (None, "machado")
        await pilot.press("1")
        await until(pilot, lambda: app.screen.query_one(RunTable).chosen == watched)
        assert app.chosen_run == watched


async def test_a_name_that_is_taken(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root, "demo")
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, 1)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, NewRunScreen))
        name = app.screen.query_one("#new-name", Input)
        assert name.value == "demo-2"
        name.value = "demo"
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "Run exists" in text_of(app, "#new-plan"))


async def test_a_limit_without_an_amount_is_asked_for(make_app: MakeApp, root: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.runs.has_read)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, NewRunScreen))
        app.screen.query_one("#new-limit", Select).value = "minutes"
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "How many minutes?" in text_of(app, "#new-plan"))
        assert app.screen.focused is app.screen.query_one("#new-amount", Input)
        await until(pilot, lambda: app.screen.query_one("#row-amount").display)
        assert not list(root.iterdir()), "nothing has begun"


async def test_rename_keeps_pin_and_overlay(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, 1)
        await pilot.press("space", "p", "R")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        await pilot.press("end", *"-2", "enter")
        await until(pilot, lambda: "encyclopedia-2" in shown(app))
        assert app.comparison.overlaid == ["encyclopedia-2"]
        assert app.comparison.pinned == "encyclopedia-2"
        await pilot.press("R", "end", *" bad", "enter")
        await until(pilot, lambda: "Bad run name" in notes(app))


async def test_delete_wants_the_name(make_app: MakeApp, root: Path) -> None:
    run = runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, 1)
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        await pilot.press(*"yes", "enter")
        assert "Type encyclopedia" in text_of(app, "#answer-note")
        await pilot.press("escape")
        assert run.path.exists() and not isinstance(app.screen, AskScreen)


async def test_export_with_progress_and_stop(make_app: MakeApp, root: Path, tmp_path: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    target = tmp_path / "out" / "model"
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, 1)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportScreen))
        form = app.screen
        form.query_one("#export-format", Select).value = "litert"
        await until(
            pilot,
            lambda: form.query_one("#export-output", Input).value == "exported/encyclopedia-litert",
        )
        form.query_one("#export-weights", Select).value = "int8"
        form.query_one("#export-output", Input).value = str(target)
        await pilot.press("ctrl+y")
        assert "--format litert" in app.clipboard and "--weights int8" in app.clipboard
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "Loading the model" in text_of(app, "#export-progress"))
        await pilot.press("ctrl+x")
        await until(pilot, lambda: "stopped" in text_of(app, "#export-progress"))
        assert list(target.parent.iterdir()) == [], "nothing is left behind"
        (target.parent / "go").touch()
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "✓" in text_of(app, "#export-progress"))
        assert "1 kB" in text_of(app, "#export-progress") and target.exists()
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "Output exists" in text_of(app, "#export-progress"))
        form.query_one("#export-overwrite", Select).value = "yes"
        await pilot.press("ctrl+g")
        await until(
            pilot, lambda: len(app.exports.begun) == 4 and app.exports.begun[-1].state == "done"
        )


async def test_leaving_asks_while_an_export_is_at_work(
    make_app: MakeApp, root: Path, tmp_path: Path
) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, 1)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportScreen))
        app.screen.query_one("#export-output", Input).value = str(tmp_path / "model")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: app.exports.begun and app.exports.begun[0].job.stage)
        await pilot.press("escape", "q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("n")
        assert app.is_running and app.exports.at_work, "closing the dialog does not stop it"
        await pilot.press("q", "y")
    assert not app.is_running and not [
        path for path in tmp_path.iterdir() if "model" in path.name and path.name != "saved_models"
    ]


async def test_the_filter_tells_what_is_wrong_while_it_is_typed(
    make_app: MakeApp, root: Path
) -> None:
    runs.a_zoo(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await pilot.press("slash", *"val<1.9")
        await ready(pilot, 2)
        app.screen.query_one("#filter", Input).value += " train<"
        await until(pilot, lambda: "needs something" in text_of(app, "#filter-note"))
        assert set(shown(app)) == {"encyclopedia", "tinyshakespeare"}, (
            "the last filter that meant something"
        )
        await pilot.press("end", *"1.75")
        await until(pilot, lambda: set(shown(app)) == {"tinyshakespeare"})
        assert not app.screen.query_one("#filter-note").display


async def test_overlay_pin_and_difference(make_app: MakeApp, root: Path, tmp_path: Path) -> None:
    runs.a_zoo(root)
    path = tmp_path / "settings.json"
    app = make_app(settings_path=path)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        app.screen.query_one(RunTable).move_to("machado")
        await pilot.press("space", "p")
        await until(pilot, lambda: "⚑" in shown(app)["machado"][0])
        mark = app.run_looks(["machado"])["machado"].mark
        assert mark in shown(app)["machado"][0]
        app.screen.query_one(RunTable).move_to("encyclopedia")
        await until(pilot, lambda: "beside machado" in text_of(app, "#details-configuration"))
        assert "seed 2 → 1" in text_of(app, "#details-configuration")
        assert "width" not in text_of(app, "#details-configuration"), "what is the same is left out"
        await pilot.press("space")
        assert app.comparison.overlaid == ["machado", "encyclopedia"]
        app.screen.query_one(RunTable).move_to("machado")
        await pilot.press("space", "p")
        await until(pilot, lambda: "⚑" not in shown(app)["machado"][0])
        assert app.comparison.overlaid == ["encyclopedia"]
    later = make_app(settings_path=path)
    assert later.comparison.overlaid == ["encyclopedia"] and later.comparison.pinned is None


async def test_every_column_on_a_wide_terminal(make_app: MakeApp, root: Path) -> None:
    runs.a_zoo(root)
    app = make_app()
    async with app.run_test(size=(200, 60)) as pilot:
        await ready(pilot)
        row = shown(app)["encyclopedia"]
        titles = [
            str(column.label.plain) for column in app.screen.query_one(RunTable).ordered_columns
        ]
        found = dict(zip([title.split(" ▾")[0] for title in titles], row, strict=True))
        assert found["done"] == "━" * 10 and found["age"] == "1h"
        assert found["size"].endswith("kB") and found["val"] == "1.880"
        assert [name for name, cells in shown(app).items() if "★" in "".join(cells)] == [
            "tinyshakespeare"
        ], "the best of all is marked"


@pytest.mark.parametrize("key", ["n", "e", "r", "X", "R", "d"])
async def test_read_only_refuses_what_changes_something(
    make_app: MakeApp, root: Path, key: str
) -> None:
    runs.a_finished(root)
    app = make_app(is_read_only=True)
    async with app.run_test() as pilot:
        await ready(pilot, 1)
        before = app.screen
        await pilot.press(key)
        assert app.screen is before and not app._notifications
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert not any("Train a new run" in title or "Delete" in title for title in titles)
        shown_keys = {binding.key for _, binding, _, _ in app.screen.active_bindings.values()}
        assert key not in shown_keys


async def test_a_run_deleted_under_a_question(make_app: MakeApp, root: Path) -> None:
    run = runs.a_finished(root)
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot, 1)
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        shutil.rmtree(run.path)
        await pilot.press("end", *"-2", "enter")
        await until(pilot, lambda: app._notifications)
        assert app.is_running


async def test_checkpoints_have_size_and_age(make_app: MakeApp, root: Path) -> None:
    run = runs.a_finished(root)
    (run.path / "checkpoints/step-00001500/weights.safetensors").write_bytes(b"x" * 2_000_000)
    run.freeze(3600)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, 1)
        await until(pilot, lambda: "2 MB" in text_of(app, "#details-checkpoints"))
        assert "1h" in text_of(app, "#details-checkpoints")


def test_the_formats_are_those_of_the_command() -> None:
    from kgpt.commands.export import WEIGHTS
    from workbench.exports import FORMATS

    assert FORMATS.items() <= WEIGHTS.items()

"""Screen 3, driven as a user would, with an engine that has no model."""

from __future__ import annotations

from pathlib import Path

import fixture_runs as runs
from pilots import MakeApp, until
from textual.pilot import Pilot
from textual.widgets import Button, Input, OptionList, Select, Static, TextArea

from workbench.app import WorkbenchApp


def text_of(app: WorkbenchApp, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).render())


def prompt_of(app: WorkbenchApp) -> TextArea:
    return app.screen.query_one("#prompt", TextArea)


async def open_screen(pilot: Pilot[None]) -> None:
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    await until(pilot, lambda: app.catalog.summaries)
    await pilot.press("3")
    await until(
        pilot,
        lambda: (
            app.screen.query("#run") and app.screen.query_one("#run", Select).value != Select.NULL
        ),
    )


def state_is(app: WorkbenchApp, state: str) -> bool:
    current = app.playground.current
    return current is not None and current.state == state


async def test_write_by_keys(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        assert prompt_of(app).has_focus, "one can write at once"
        await pilot.press(*"Marte", "ctrl+g")
        await until(pilot, lambda: state_is(app, "done"))
        await until(pilot, lambda: "120 tokens" in text_of(app, "#progress-line"))
        line = text_of(app, "#progress-line")
        assert "tok/s" in line and "first 0." in line and "reached max tokens" in line
        assert text_of(app, "#text").startswith("Marte o quarto planeta")
        assert "🔥" in text_of(app, "#text")
        assert prompt_of(app).has_focus, "the focus stays in the prompt"


async def test_write_by_mouse(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        await pilot.click("#go")
        await until(pilot, lambda: state_is(app, "done"))


async def test_the_options_are_used_and_remembered(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        for name, value in (
            ("temperature", "0"),
            ("top_k", "5"),
            ("top_p", "0,9"),
            ("max_tokens", "3"),
            ("seed", "7"),
        ):
            app.screen.query_one(f"#{name}", Input).value = value
        app.screen.query_one("#checkpoint", Select).value = "1250"
        await pilot.press("ctrl+g")
        await until(pilot, lambda: state_is(app, "done"))
        generation = app.playground.current
        assert generation is not None
        options = generation.options
        assert (
            options.temperature,
            options.top_k,
            options.top_p,
            options.max_tokens,
            options.seed,
        ) == (0, 5, 0.9, 3, 7)
        assert (generation.target.checkpoint, generation.target.step) == ("1250", 1250)
        assert (app.settings.max_tokens, app.settings.seed) == ("3", "7")


async def test_a_field_that_is_no_number(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        for name, value in (("temperature", "hot"), ("temperature", "-1"), ("top_k", "1.5")):
            app.screen.query_one(f"#{name}", Input).value = value
            before = len(app._notifications)
            await pilot.press("ctrl+g")
            assert len(app._notifications) == before + 1
            assert app.playground.current is None


async def test_the_checkpoints_on_offer(make_app: MakeApp, root: Path) -> None:
    run = runs.a_live(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        select = app.screen.query_one("#checkpoint", Select)
        assert [value for _, value in select._options if isinstance(value, str)] == [
            "best",
            "last",
            "500",
            "250",
        ]
        run.checkpoints(250, 500, 750, best=750)
        await until(pilot, lambda: "750" in [value for _, value in select._options])
        assert select.value == "best"


async def test_warm_up_queue_and_prompt_meanwhile(
    make_app: MakeApp, root: Path, tmp_path: Path
) -> None:
    runs.a_finished(root)
    app = make_app("slow", "hold", str(tmp_path / "go"))
    async with app.run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        await until(pilot, lambda: "reading the weights" in text_of(app, "#progress-line"))
        await pilot.press(*"Ma", "ctrl+g")
        await until(pilot, lambda: "queued" in text_of(app, "#progress-line"))
        await pilot.press(*"rte")
        assert prompt_of(app).text == "Marte", "the prompt stays editable"
        (tmp_path / "go").touch()
        await until(pilot, lambda: state_is(app, "writing"))
        await pilot.press("escape")
        await until(pilot, lambda: state_is(app, "stopped"))


async def test_the_engine_is_ready_before_the_first_use(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        await until(pilot, lambda: "ready" in text_of(app, "#progress-line"))
        assert "6.24M parameters" in text_of(app, "#progress-line")


async def test_escape_stops_and_keeps_the_text(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app("slow")
    async with app.run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        app.screen.query_one(
            "#max_tokens", Input
        ).value = "2000"  # more than a busy machine lets pass
        await pilot.press(*"Marte", "ctrl+g")
        await until(pilot, lambda: app.playground.current and app.playground.current.tokens >= 3)
        await until(pilot, lambda: str(app.screen.query_one("#go", Button).label) == "Stop")
        await pilot.press("escape")
        await until(pilot, lambda: state_is(app, "stopped"))
        await until(pilot, lambda: "stopped" in text_of(app, "#progress-line"))
        assert text_of(app, "#text").startswith("Marte o quarto")
        assert app.current_mode == "generate"
        await pilot.press("ctrl+g")
        await until(pilot, lambda: state_is(app, "writing"))
        await pilot.click("#go")
        await until(pilot, lambda: state_is(app, "stopped"))


async def test_a_crash_is_told_and_the_next_try_works(
    make_app: MakeApp, root: Path, tmp_path: Path
) -> None:
    runs.a_finished(root)
    app = make_app("crash-once", str(tmp_path / "marker"))
    async with app.run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        await pilot.press(*"Marte", "ctrl+g")
        await until(pilot, lambda: state_is(app, "failed"))
        await until(pilot, lambda: "The engine stopped" in text_of(app, "#progress-line"))
        assert any("out of memory" in note.message for note in app._notifications)
        assert prompt_of(app).text == "Marte"
        await pilot.press("ctrl+g")
        await until(pilot, lambda: state_is(app, "done"))


async def test_an_engine_that_cannot_start_says_so_once(make_app: MakeApp, root: Path) -> None:
    run = runs.a_live(root)
    app = make_app("crash-at-start")
    async with app.run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        await until(pilot, lambda: app._notifications)
        for last in (630, 640, 650):
            run.metrics(last, first=last)
            await until(pilot, lambda last=last: app.catalog.summaries[0].step == last)
        assert len(app._notifications) == 1
        await pilot.press("ctrl+g")
        await until(pilot, lambda: state_is(app, "failed"))


async def test_a_generation_survives_a_change_of_screen(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app("slow")
    async with app.run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        app.screen.query_one("#max_tokens", Input).value = "100"
        await pilot.press("ctrl+g")
        await until(pilot, lambda: state_is(app, "writing"))
        await pilot.press("alt+1")
        assert app.current_mode == "runs"
        await until(pilot, lambda: state_is(app, "done"))
        await pilot.press("3")
        await until(pilot, lambda: "100 tokens" in text_of(app, "#progress-line"))


async def test_again_extend_copy_and_history(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        app.screen.query_one("#max_tokens", Input).value = "2"
        app.screen.query_one("#seed", Input).value = "0"
        await pilot.press(*"A", "ctrl+g")
        await until(pilot, lambda: state_is(app, "done"))
        await pilot.press("ctrl+l")
        assert prompt_of(app).text == "A é o"
        await pilot.press("ctrl+r")
        await until(pilot, lambda: len(app.playground.history) == 2 and state_is(app, "done"))
        first, second = app.playground.history
        assert second.prompt == "A é o" and second.options.seed not in (None, first.options.seed)
        await pilot.press("ctrl+up")
        await until(pilot, lambda: text_of(app, "#text") == "A é o")
        assert prompt_of(app).text == "A"
        await pilot.press("escape", "y")
        assert app.clipboard == "A é o"
        history = app.screen.query_one("#history", OptionList)
        assert history.option_count == 2 and history.has_focus
        await pilot.press("home", "enter")
        await until(pilot, lambda: prompt_of(app).text == "A é o")
        await pilot.press("escape")
        assert app.current_mode == "runs"


async def test_without_any_checkpoint(make_app: MakeApp, root: Path) -> None:
    runs.a_compiling(root)
    app = make_app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.catalog.summaries)
        await pilot.press("3", *"Marte", "ctrl+g")
        assert any("no checkpoint" in note.title for note in app._notifications)
        assert app.playground.current is None and prompt_of(app).text == "Marte"


async def test_model_text_is_never_taken_for_markup(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        prompt_of(app).text = "[bold]x[/nope] \x1b[31m"
        await pilot.press("ctrl+g")
        await until(pilot, lambda: state_is(app, "done"))
        await until(pilot, lambda: text_of(app, "#text").startswith("[bold]x[/nope]"))

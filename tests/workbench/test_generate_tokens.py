"""Screen 3 beyond the plain text: tokens and their alternatives, branches, two models, the history, what leaves it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import fixture_runs as runs
from pilots import FAKE_ENGINE, MakeApp, until
from test_generate_screen import open_screen, prompt_of, state_is, text_of
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Select

from workbench.app import WorkbenchApp
from workbench.screens.error import ErrorScreen
from workbench.widgets.options_form import OptionsForm
from workbench.widgets.token_view import TokenView


async def write(pilot: Pilot[None], prompt: str, **fields: str) -> None:
    """Open the screen, fill in the form, let it write."""
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    await open_screen(pilot)
    app.screen.query_one(OptionsForm).fill({"max_tokens": "6", "seed": "0", **fields})
    prompt_of(app).text = prompt
    await pilot.press("ctrl+g")
    await until(pilot, lambda: state_is(app, "done"))


def tokens_of(app: WorkbenchApp) -> TokenView:
    return app.screen.query_one("#tokens", TokenView)


async def test_tokens_alternatives_and_a_branch_by_keys(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await write(pilot, "Marte")
        first = app.playground.history[0]
        assert first.text == " o quarto planeta a partir"
        await pilot.press("escape", "v")
        assert app.settings.view == "tokens"
        await until(pilot, lambda: "0.5000" in text_of(app, "#token-line"))
        assert tokens_of(app).has_focus
        await pilot.press("right", "right")
        await until(pilot, lambda: text_of(app, "#token-line").startswith("3  ·quarto"))
        line = text_of(app, "#token-line")
        assert "id 2" in line and "bytes 20 71 75 61 72 74 6f" in line and "1.0 bits" in line
        alternatives = app.screen.query_one("#alternatives", OptionList)
        rows = [str(option.prompt) for option in alternatives.options]
        assert len(rows) == 8 and rows[0].startswith("●  50.00%") and "·planeta" in rows[1]
        await pilot.press("enter")
        assert alternatives.has_focus
        await pilot.press("escape")
        assert tokens_of(app).has_focus
        await pilot.press("enter", "down", "enter")
        await until(pilot, lambda: len(app.playground.history) == 2 and state_is(app, "done"))
        branch = app.playground.history[1]
        assert (branch.parent, branch.prompt) == (first.number, "Marte o planeta")
        assert branch.prompt_ids == [*first.prompt_ids, 0, 1, 3], (
            "the tokens before it, as they were"
        )
        assert branch.text == " partir do Sol, cor", "the engine went on after the alternative's id"
        assert prompt_of(app).text == "Marte o planeta"
        history = app.screen.query_one("#history", OptionList)
        await until(pilot, lambda: history.option_count == 2)
        assert [str(option.prompt)[:2] for option in history.options] == ["✓ ", "└ "]
        await pilot.press("alt+up")
        await until(pilot, lambda: prompt_of(app).text == "Marte")
        await pilot.press("alt+down")
        await until(pilot, lambda: prompt_of(app).text == "Marte o planeta")


async def test_tokens_by_mouse(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await write(pilot, "Marte")
        app.screen.action_view("tokens")  # type: ignore[attr-defined]
        await until(pilot, lambda: app.screen.query_one("#alternatives", OptionList).option_count)
        place = "Marte‹end› o quarto".index("quarto")  # the first token shows nothing
        await pilot.hover("#tokens", offset=(place, 0))
        await until(pilot, lambda: "·quarto" in text_of(app, "#token-line"))
        assert tokens_of(app).cursor == 0, "pointing moves no cursor"
        await pilot.hover("#history")
        await until(pilot, lambda: "·quarto" not in text_of(app, "#token-line"))
        await pilot.click("#tokens", offset=(place, 0))
        assert tokens_of(app).cursor == 2
        await pilot.click("#alternatives", offset=(12, 2))
        await until(pilot, lambda: len(app.playground.history) == 2 and state_is(app, "done"))
        assert app.playground.history[1].prompt == "Marte o a"


async def test_heat_is_hotter_where_the_model_was_surprised(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await write(pilot, "Marte")
        app.playground.history[0].written[1:3] = [
            type(token)(token.token, token.content, probability)
            for token, probability in zip(
                app.playground.history[0].written[1:3], (1.0, 0.0005), strict=True
            )
        ]
        await pilot.press("alt+v", "alt+v")
        assert app.settings.view == "heat"
        await until(pilot, lambda: tokens_of(app).is_heat)
        assert tokens_of(app)._style(1).endswith(" 0%")
        assert tokens_of(app)._style(2).endswith(" 73%")
        assert tokens_of(app)._style(3).endswith(" 7%")
        await pilot.press("alt+v")
        assert app.settings.view == "text" and not app.screen.query_one("#token-details").display


async def test_all_options_are_used(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        assert not app.screen.query_one("#more").display
        await pilot.press("escape", "O")
        assert app.screen.query_one("#more").display and app.settings.shows_all_options
        app.screen.query_one("#decoder", Select).value = "litert-int8"
        await write(pilot, "A", min_p="0.1", stop="Fim", logit_bias="5:-1", forbidden="9")
        generation = app.playground.history[0]
        options = generation.options
        assert (options.min_p, options.stop) == (0.1, ("Fim",))
        assert (options.logit_bias, options.forbidden) == ({5: -1.0}, (9,))
        assert generation.target.decoder == "litert-int8"
        app.screen.query_one(OptionsForm).fill({"min_p": "", "stop": ""})
        await pilot.press("alt+r")
        assert app.screen.query_one("#min_p", Input).value == "0.1"
        assert app.screen.query_one("#stop", Input).value == "Fim"


async def test_presets(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        found = []
        for key in ("g", "b", "w"):
            app.post_message(
                events.Key(f"alt+{key}", key)
            )  # as a terminal without key codes sends it
            await pilot.pause()
            found.append(app.screen.query_one(OptionsForm).options().temperature)
        assert found == [0.0, 0.8, 1.3]
        assert prompt_of(app).text == "", "the letter is not written"
        await pilot.click("#presets", offset=(2, 0))
        assert app.screen.query_one("#temperature", Input).value == "0"


async def test_several_samples_have_seeds_in_a_row(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await write(pilot, "A", num_samples="3", seed="5")
        await until(pilot, lambda: not app.playground.is_busy)
        assert [item.options.seed for item in app.playground.history] == [5, 6, 7]
        assert len({item.text for item in app.playground.history}) == 3
        app.screen.query_one("#num_samples", Input).value = "99"
        await pilot.press("ctrl+g")
        assert len(app.playground.history) == 3
        assert any("num_samples" in note.message for note in app._notifications)


async def test_two_checkpoints_side_by_side(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        await pilot.press("alt+a")
        assert app.screen.query_one("#model-2").display
        assert app.screen.query_one("#checkpoint-2", Select).value == "1250", "another one"
        app.screen.query_one("#checkpoint-2", Select).value = "1000"
        await write(pilot, "A", seed="")
        await until(pilot, lambda: not app.playground.is_busy)
        first, second = app.playground.history
        assert (first.slot, second.slot, second.partner) == ("main", "second", first.number)
        assert (first.prompt, first.options) == (second.prompt, second.options)
        assert first.options.seed is not None, "without a seed, both get the same random one"
        assert [item.target.checkpoint for item in (first, second)] == ["best", "1000"]
        assert app.playground.is_loaded(first.target) and app.playground.is_loaded(second.target)
        await until(pilot, lambda: "step 1000" in text_of(app, "#pane-title-2"))
        assert "encyclopedia best" in text_of(app, "#pane-title")
        assert text_of(app, "#text") == text_of(app, "#text-2") != ""
        await pilot.press("escape", "A")
        assert not app.screen.query_one("#model-2").display
        await write(pilot, "B")
        await until(pilot, lambda: not app.screen.query_one("#pane-2").display)


async def test_two_runs_of_one_checkpoint_each(make_app: MakeApp, root: Path) -> None:
    for name in ("one", "other"):
        runs.RunWriter(root / name).begin().metrics(500).checkpoints(500, best=500).freeze()
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        await pilot.press("alt+a")
        names = {app.screen.query_one(menu, Select).value for menu in ("#run", "#run-2")}
        assert names == {"one", "other"}


async def test_the_context_and_what_is_cut(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await write(pilot, "Marte e o Sol", max_tokens="20")
        await until(pilot, lambda: "context 24/128" in text_of(app, "#progress-line"))
        assert "forgotten" not in text_of(app, "#progress-line")
        await write(pilot, "Marte e o Sol", max_tokens="125")
        await until(pilot, lambda: "beginning forgotten" in text_of(app, "#progress-line"))
        assert app.playground.history[-1].places == 129


async def test_the_history_is_there_the_next_time(
    make_app: MakeApp, root: Path, tmp_path: Path
) -> None:
    runs.a_finished(root)
    app = make_app(state_path=tmp_path / "kept")
    async with app.run_test(size=(120, 40)) as pilot:
        await write(pilot, "Marte")
        await write(pilot, "Sol")
    again = make_app(state_path=tmp_path / "kept")
    async with again.run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        history = again.screen.query_one("#history", OptionList)
        await until(pilot, lambda: history.option_count == 2)
        assert prompt_of(again).text == ""
        prompt_of(again).text = "draft"
        await pilot.press("up")
        assert prompt_of(again).text == "Sol"
        await pilot.press("up", "up")
        assert prompt_of(again).text == "Marte"
        await pilot.press("down", "down")
        assert prompt_of(again).text == "draft", "what was being written comes back"
        await pilot.press("ctrl+up")
        await until(pilot, lambda: text_of(again, "#text").startswith("Sol o quarto"))
        again.screen.action_view("tokens")  # type: ignore[attr-defined]
        await until(
            pilot, lambda: again.screen.query_one("#alternatives", OptionList).option_count == 8
        )
    assert [item.number for item in again.playground.history] == [1, 2]


async def test_a_damaged_history_is_said_and_kept_aside(
    make_app: MakeApp, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "history.json").write_text("{")
    app = make_app(state_path=tmp_path)
    async with app.run_test() as pilot:
        await until(pilot, lambda: any("damaged" in note.message for note in app._notifications))
    assert (tmp_path / "history.unreadable").exists()


async def test_read_only_keeps_nothing(make_app: MakeApp, root: Path, tmp_path: Path) -> None:
    runs.a_finished(root)
    app = make_app(state_path=tmp_path / "kept", is_read_only=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await write(pilot, "Marte")
        await pilot.press("ctrl+s")
        assert any("--read-only" in note.message for note in app._notifications)
    assert not (tmp_path / "kept").exists()
    assert not (root / "encyclopedia" / "generations.jsonl").exists()


async def test_a_text_is_saved_into_its_run(make_app: MakeApp, root: Path) -> None:
    run = runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        await pilot.press("ctrl+s")
        assert any("no finished text" in note.message for note in app._notifications)
        await write(pilot, "Marte", top_k="3")
        await pilot.press("ctrl+s")
        file = run.path / "generations.jsonl"
        row = json.loads(file.read_text())
        assert (row["prompt"], row["text"]) == ("Marte", " o quarto planeta a partir")
        assert (row["step"], row["top_k"], row["seed"]) == (1500, 3, 0)
        assert any("Saved 6 tokens" in note.message for note in app._notifications)
        run.path.rename(root / "gone")
        await pilot.press("ctrl+s")
        assert any(note.severity == "error" for note in app._notifications)


async def test_a_mismatch_says_both_numbers_and_can_be_copied(
    make_app: MakeApp, root: Path
) -> None:
    runs.a_finished(root)
    app = make_app("refuse")
    async with app.run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        await pilot.press(*"Marte", "ctrl+g")
        await until(pilot, lambda: state_is(app, "failed"))
        await until(pilot, lambda: "512 and 8192" in text_of(app, "#progress-line"))
        assert prompt_of(app).text == "Marte"
        await pilot.press("alt+e")
        assert isinstance(app.screen, ErrorScreen)
        await pilot.press("y")
        assert app.clipboard.startswith("Vocabulary does not match\n\n512 and 8192\n\nRetrain.")
        assert "the engine's log begins" in app.clipboard
        await pilot.press("escape")
        assert app.current_mode == "generate" and prompt_of(app).text == "Marte"


async def test_help_begins_with_what_has_the_focus(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await write(pilot, "Marte")
        await pilot.press("escape", "v", "question_mark")
        table = app.screen.query_one("#help Static").render()  # type: ignore[attr-defined]
        assert app.screen._places == ("tokens", "generate"), table  # type: ignore[attr-defined]


def test_the_editor_and_the_pager_have_the_terminal(root: Path, tmp_path: Path) -> None:
    """The real program on a real pseudo-terminal, with programs that note what they were given."""
    runs.a_finished(root)
    editor, pager, seen = tmp_path / "editor", tmp_path / "pager", tmp_path / "seen"
    editor.write_text('#!/bin/sh\nprintf " from the editor" >> "$1"\n')
    pager.write_text(f'#!/bin/sh\ncp "$1" {seen}\n')
    for file in (editor, pager):
        file.chmod(0o755)
    parent, child = pty.openpty()
    code = (
        "from pathlib import Path; from workbench.app import WorkbenchApp\n"
        f"WorkbenchApp(Path({str(root)!r}), engine_command={[sys.executable, str(FAKE_ENGINE)]!r}).run()"
    )
    environment = {
        **os.environ, "TERM": "xterm-256color", "EDITOR": str(editor), "PAGER": str(pager),
        "COLUMNS": "120", "LINES": "40",
    }  # fmt: skip
    environment.pop("VISUAL", None)
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=child, stdout=child, stderr=child, env=environment
    )
    os.close(child)
    screen = b""

    def wait_for(text: bytes) -> None:
        nonlocal screen
        while text not in screen:
            screen += os.read(parent, 65536)

    wait_for(b"encyclopedia")
    os.write(parent, b"3")
    wait_for(b"prompt")
    os.write(parent, b"Marte\x1bOS")  # f4
    wait_for(b"from the editor")
    os.write(parent, b"\x07")  # ctrl+g
    wait_for(b"done")
    os.write(parent, b"\x1bOR")  # f3
    deadline = time.monotonic() + 20
    while not seen.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.write(parent, b"\x11")  # ctrl+q
    try:
        while os.read(parent, 65536):
            pass
    except OSError:
        pass
    assert process.wait(timeout=20) == 0
    os.close(parent)
    assert seen.read_text().startswith("Marte from the editor")


def test_programs_that_are_not_there_or_fail(tmp_path: Path) -> None:
    import pytest

    from kgpt.errors import KgptError
    from workbench.terminal_programs import edit, page

    for name in ("/nowhere/editor", "false", 'un"closed'):
        with pytest.raises(KgptError):
            edit("text", {"EDITOR": name})
        with pytest.raises(KgptError):
            page("text", {"PAGER": name})
    assert edit("a\n", {"EDITOR": "true"}) == "a\n"

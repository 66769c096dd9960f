"""Settings screen, changed keys, themes, plain characters, jump mode, the command palette."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import fixture_runs as runs
import pytest
from pilots import MakeApp, until
from textual import events
from textual._xterm_parser import XTermParser
from textual.widgets import Input, OptionList, Select
from textual.widgets._footer import FooterKey

from kgpt import language
from workbench.app import WorkbenchApp
from workbench.keys import KEYS
from workbench.plain import plain
from workbench.preferences import PREFERENCES, load
from workbench.screens.help import HelpScreen
from workbench.screens.jump import JumpScreen
from workbench.screens.settings import SettingsScreen
from workbench.screens.themes import ThemesScreen
from workbench.wording import BARS, STATES

SIZE = (120, 40)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kgpt" / "workbench.toml"


def adjusted(make_app: MakeApp, file: Path, text: str = "", **options: Any) -> WorkbenchApp:
    """An app whose preferences come from a file with this text."""
    if text:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return make_app(preferences=load(file, {}), preferences_path=file, **options)


def lines_of(app: WorkbenchApp) -> list[str]:
    """What the terminal gets."""
    rendered = app.screen._compositor.render_strips(app.size)
    return ["".join(segment.text for segment in strip) for strip in rendered]


async def ready(pilot: Any, app: WorkbenchApp) -> None:
    await until(pilot, lambda: app.runs.has_read and app.screen.query_one("RunTable").row_count)


async def test_the_form_has_every_preference_and_saves_them(
    root: Path, make_app: MakeApp, file: Path
) -> None:
    runs.a_finished(root)
    app = adjusted(make_app, file, '# mine\n[keys]\n"watch.log" = "ctrl+l"\n')
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot, app)
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        for item in PREFERENCES:
            assert app.screen.query_one(f"#setting-{item.name}")
        app.screen.query_one("#setting-theme", Select).value = "nord"
        app.screen.query_one("#setting-plain", Select).value = "yes"
        app.screen.query_one("#setting-device", Select).value = "cpu"
        refresh = app.screen.query_one("#setting-refresh", Input)
        refresh.value = "soon"
        await pilot.press("ctrl+g")
        note = str(app.screen.query_one("#settings-note").render())
        assert "a number from 0.1 to 60" in note and app.focused is refresh
        assert "nord" not in file.read_text()
        refresh.value = "0.25"
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, SettingsScreen))
        assert app.theme == "nord"
        assert app.follower.poll_seconds == 0.25
        assert app.playground.engine.environment["CUDA_VISIBLE_DEVICES"] == "-1"
        assert all(line.isascii() for line in lines_of(app))
    text = file.read_text()
    assert "# mine" in text and '"watch.log"' in text
    again = load(file, {})
    assert [again[name] for name in ("theme", "refresh", "device", "plain")] == [
        "nord",
        0.25,
        "cpu",
        True,
    ]


async def test_a_folder_that_cannot_be_written_is_said(
    root: Path, make_app: MakeApp, file: Path
) -> None:
    file.parent.write_text("a file where the folder would be")
    app = adjusted(make_app, file)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.runs.has_read)
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        await pilot.press("ctrl+g")
        await until(pilot, lambda: app.last_error)
        assert app.last_error and app.last_error[0].title == "Not saved"
        assert isinstance(app.screen, SettingsScreen), "what was chosen is not lost"


async def test_a_broken_file_is_told_and_ends_nothing(
    root: Path, make_app: MakeApp, file: Path
) -> None:
    app = adjusted(make_app, file, "theme = \n")
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app._notifications)
        (note,) = app._notifications
        assert "cannot be read" in note.message
        assert app.theme == "kgpt-dark"


async def test_the_device_reaches_the_engine(root: Path, make_app: MakeApp, file: Path) -> None:
    from workbench.engine import Engine

    app = adjusted(make_app, file, 'device = "cpu"')
    async with app.run_test(size=SIZE):
        script = (
            "import json, os; print(json.dumps({'type': 'ready'}), flush=True); input();"
            "print(json.dumps({'type': 'tokens', 'id': 'r1', 'ids': [], 'found': os.environ['CUDA_VISIBLE_DEVICES']}),"
            "flush=True); input()"
        )
        engine = Engine([sys.executable, "-c", script], app.device.environment)
        (reply,) = [reply async for reply in engine.request({"type": "tokenize"}, "r1")]
        assert reply["found"] == "-1"
        await engine.close()


async def test_changed_keys_work_and_are_shown(root: Path, make_app: MakeApp, file: Path) -> None:
    runs.a_finished(root)
    keys = '[keys]\n"runs.watch" = "w"\n"runs.pin" = "ctrl+p1"\n"everywhere.help" = "f9"\n'
    app = adjusted(make_app, file, keys.replace('"runs.pin" = "ctrl+p1"\n', '"runs.pin" = "n"\n'))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot, app)
        messages = [note.message for note in app._notifications]
        assert messages == ["[keys]: runs.pin cannot have n: that is runs.new."]
        footer = {key.description: key.key_display for key in app.screen.query(FooterKey)}
        assert footer["Watch"] == "w" and footer["Help"] == "f9"
        await pilot.press("question_mark")
        assert not isinstance(app.screen, HelpScreen), "its old key is free"
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        assert any("w  Watch this run" in line for line in lines_of(app))
        await pilot.press("escape", "w")
        await until(pilot, lambda: app.current_mode == "watch")


async def test_read_only_changes_no_settings(root: Path, make_app: MakeApp, file: Path) -> None:
    app = adjusted(make_app, file, is_read_only=True)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.runs.has_read)
        await pilot.press("f2")
        assert not isinstance(app.screen, SettingsScreen)


async def test_themes_are_shown_as_one_chooses(root: Path, make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.runs.has_read)
        before = app.theme
        await pilot.press("T")
        await until(pilot, lambda: isinstance(app.screen, ThemesScreen))
        assert app.screen.query_one(OptionList).highlighted == sorted(app.available_themes).index(
            before
        )
        await pilot.press("down")
        assert app.theme != before
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ThemesScreen))
        assert app.theme == before
        await pilot.press("T", "down", "enter")
        await until(pilot, lambda: not isinstance(app.screen, ThemesScreen))
        assert (
            app.theme
            == sorted(app.available_themes)[sorted(app.available_themes).index(before) + 1]
        )


async def test_everything_is_plain(root: Path, make_app: MakeApp, file: Path) -> None:
    runs.a_zoo(root)
    app = adjusted(make_app, file, "plain = true")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot, app)
        for mode in app.MODES:
            app.action_show(mode)
            await until(pilot, lambda mode=mode: app.current_mode == mode)
            await pilot.pause(0.3)
            for line in lines_of(app):
                assert line.isascii(), line
        app.action_show("runs")


def test_plain_characters_are_as_wide_and_keep_letters() -> None:
    signs = BARS + "".join(look.dot for look in STATES.values()) + "─│╭╮╰╯⣿⠁█…·→"
    assert plain(signs).isascii() and len(plain(signs)) == len(signs)
    assert plain("ação, çã") == "ação, çã"
    assert plain("日本") == "日本"
    assert len(set(map(plain, (STATES[s].dot for s in ("finished", "crashed", "stalled"))))) == 3


async def test_alt_and_a_key_arrive_as_terminals_send_them(make_app: MakeApp) -> None:
    """`ESC 4` is alt+4 and no cent sign, `ESC b` alt+b and no movement: what Textual makes of the bytes."""
    app = make_app()
    async with app.run_test(size=SIZE):
        names = {name for key in KEYS for name in key.keys.split(",")}
        alternate = sorted(name for name in names if name.startswith("alt+") and len(name) == 5)
        assert {"alt+1", "alt+6", "alt+b", "alt+v"} <= set(alternate)
        for name in alternate:
            parser = XTermParser()
            arrived = [*parser.feed(f"\x1b{name[-1]}"), *parser.feed("")]
            assert [event.key for event in arrived if isinstance(event, events.Key)] == [name]


async def test_a_letter_jumps_to_its_place(root: Path, make_app: MakeApp) -> None:
    runs.a_finished(root)
    app = make_app("slow", run_name="encyclopedia")
    async with app.run_test(size=SIZE) as pilot:
        app.action_show("generate")
        await until(pilot, lambda: app.screen.query_one("#prompt").has_focus)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, JumpScreen))
        targets = app.screen.targets
        letter = next(key for key, widget in targets.items() if widget.id == "temperature")
        assert "top-p" in app.export_screenshot(), "what the letters stand for is seen"
        label = next(item for item in app.screen.query("Label") if str(item.render()) == letter)
        assert label.region.y == targets[letter].region.y
        await pilot.press(letter)
        await until(pilot, lambda: app.screen.query_one("#temperature").has_focus)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, JumpScreen))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, JumpScreen))
        assert app.screen.query_one("#temperature").has_focus, "escape stays"


SCREENS = ("runs", "watch", "generate", "attention", "data", "system")


async def test_the_palette_has_every_action_on_every_screen(root: Path, make_app: MakeApp) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot, app)
        for mode in SCREENS:
            app.action_show(mode)
            await until(pilot, lambda mode=mode: app.current_mode == mode)
            titles = [command.title for command in app.get_system_commands(app.screen)]
            for key in KEYS:
                if key.place in ("everywhere", *SCREENS):
                    assert any(title.endswith(f": {key.help}") for title in titles), key
            assert titles.index(next(t for t in titles if t.lower().startswith(f"{mode}: "))) < 12
        app.action_show("runs")


async def test_the_palette_has_the_actions_of_dialogs_and_of_the_focus(
    root: Path, make_app: MakeApp
) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot, app)
        for key, places in (
            ("d", ["dialog"]),
            ("f2", ["dialog", "settings"]),
            ("n", ["dialog", "form"]),
            ("e", ["dialog", "form", "exporting"]),
        ):
            await pilot.press(key)
            await until(pilot, lambda: len(app.screen_stack) == 2)
            titles = [command.title for command in app.get_system_commands(app.screen)]
            for item in KEYS:
                if item.place in places:
                    assert any(title.endswith(f": {item.help}") for title in titles), item
            await pilot.press("escape")
            await until(pilot, lambda: len(app.screen_stack) == 1)
        app.action_show("generate")
        await until(pilot, lambda: app.screen.query_one("#tokens"))
        app.screen.query_one("#tokens").focus()
        await pilot.pause()
        if app.screen.query_one("#tokens").has_focus:
            titles = [command.title for command in app.get_system_commands(app.screen)]
            assert "Tokens: The next token" in titles


async def test_the_palette_speaks_portuguese(root: Path, make_app: MakeApp) -> None:
    runs.a_finished(root)
    language.use(language.PORTUGUESE)
    try:
        app = make_app()
        async with app.run_test(size=SIZE) as pilot:
            await ready(pilot, app)
            await pilot.press("ctrl+p")
            await until(pilot, lambda: "Buscar comandos…" in "".join(lines_of(app)))
            await pilot.press(*"zzzz")
            await until(pilot, lambda: "Nada encontrado" in "".join(lines_of(app)))
            await pilot.press("ctrl+p", "escape")
            await until(pilot, lambda: len(app.screen_stack) == 1)
    finally:
        language.use(language.ENGLISH)


async def test_another_screens_action_and_a_checkpoint_from_the_palette(
    root: Path, make_app: MakeApp
) -> None:
    runs.a_finished(root)
    app = make_app("slow")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot, app)
        commands = {item.title: item.callback for item in app.get_system_commands(app.screen)}
        await commands["Watch: Logarithmic loss on or off"]()
        await until(pilot, lambda: app.settings.is_log)
        assert app.current_mode == "watch"
        step = app.catalog.summaries[0].checkpoints[0].step
        commands[f"Load checkpoint encyclopedia {step:,}"]()
        await until(pilot, lambda: app.current_mode == "generate")
        menu = "#checkpoint"
        await until(pilot, lambda: app.screen.query_one(menu, Select).value == str(step))
        commands["Open run encyclopedia"]()
        await until(pilot, lambda: app.current_mode == "watch")
        await asyncio.sleep(0)

"""Panes made larger and smaller, by mouse and by keys, in terminals of several sizes."""

from __future__ import annotations

from pathlib import Path

import fixture_runs as runs
import pytest
from pilots import MakeApp, until
from textual.pilot import Pilot

from workbench import settings
from workbench.app import WorkbenchApp
from workbench.keys import keys_of

PANES = {"runs": "RunDetails", "watch": "SidePanel", "generate": "#side"}
LARGER = {"runs": "greater_than_sign", "watch": "greater_than_sign", "generate": "alt+m"}
SMALLER = {"runs": "less_than_sign", "watch": "less_than_sign", "generate": "alt+n"}
SCREENS = list(PANES)


def size_of(app: WorkbenchApp, mode: str) -> int:
    """Cells of a screen's side pane, across its border."""
    size = app.screen.query_one(PANES[mode]).outer_size
    return size.width if mode == "generate" else size.height


async def opened(pilot: Pilot[None], mode: str) -> WorkbenchApp:
    """The screen, drawn."""
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    await until(pilot, lambda: app.catalog.is_complete and app.catalog.summaries)
    await pilot.press({"runs": "1", "watch": "2", "generate": "3"}[mode])
    await until(pilot, lambda: app.current_mode == mode and size_of(app, mode))
    await pilot.pause()
    return app


@pytest.mark.parametrize("mode", SCREENS)
async def test_keys_move_the_border_and_it_stays_there(
    make_app: MakeApp, root: Path, tmp_path: Path, mode: str
) -> None:
    runs.a_finished(root)
    path = tmp_path / "settings.json"
    async with make_app(settings_path=path).run_test(size=(120, 40)) as pilot:
        app = await opened(pilot, mode)
        before = size_of(app, mode)
        await pilot.press(*[LARGER[mode]] * 3)
        step = 2 if mode == "generate" else 1
        await until(pilot, lambda: size_of(app, mode) == before + 3 * step)
        await pilot.press(SMALLER[mode])
        await until(pilot, lambda: size_of(app, mode) == before + 2 * step)
    kept = settings.load(path)
    assert getattr(kept, f"{mode}_pane") == before + 2 * step
    async with make_app(settings_path=path).run_test(size=(120, 40)) as pilot:
        app = await opened(pilot, mode)
        await until(pilot, lambda: size_of(app, mode) == before + 2 * step)


@pytest.mark.parametrize("mode", SCREENS)
async def test_the_mouse_drags_it(make_app: MakeApp, root: Path, mode: str) -> None:
    runs.a_finished(root)
    async with make_app().run_test(size=(120, 40)) as pilot:
        app = await opened(pilot, mode)
        before = size_of(app, mode)
        divider = app.screen.query_one("Divider")
        start = divider.region.offset + (0, 3) if mode == "generate" else divider.region.offset
        target = start - ((5, 0) if mode == "generate" else (0, 5))
        await pilot.mouse_down(offset=start)
        assert divider.has_class("held")
        await pilot.hover(offset=target)
        await until(pilot, lambda: size_of(app, mode) == before + 5)
        await pilot.mouse_up(offset=target)
        assert not divider.has_class("held")
        await pilot.hover(offset=start)
        await pilot.pause()
        assert size_of(app, mode) == before + 5, "let go, it stays"


@pytest.mark.parametrize("mode", SCREENS)
async def test_both_sides_keep_some_room(make_app: MakeApp, root: Path, mode: str) -> None:
    runs.a_finished(root)
    async with make_app().run_test(size=(120, 40)) as pilot:
        app = await opened(pilot, mode)
        await pilot.press(*[LARGER[mode]] * 70)
        await pilot.pause()
        pane, divider = app.screen.query_one(PANES[mode]), app.screen.query_one("Divider")
        assert pane.region.bottom <= app.screen.query_one("Footer").region.y
        assert pane.region.right <= 120 and divider.region.x >= 0
        before = divider.region.x if mode == "generate" else divider.region.y
        assert before >= 6, "what lies before it is still there"
        await pilot.press(*[SMALLER[mode]] * 70)
        await pilot.pause()
        assert 3 <= size_of(app, mode) <= 28


@pytest.mark.parametrize("mode", SCREENS)
async def test_another_terminal_takes_and_gives_back_room(
    make_app: MakeApp, root: Path, mode: str
) -> None:
    runs.a_finished(root)
    async with make_app().run_test(size=(140, 50)) as pilot:
        app = await opened(pilot, mode)
        await pilot.press(*[LARGER[mode]] * 20)
        await pilot.pause()
        large = size_of(app, mode)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: size_of(app, mode) < large)
        pane = app.screen.query_one(PANES[mode])
        assert pane.region.bottom <= 24 and pane.region.right <= 80
        await pilot.resize_terminal(140, 50)
        await until(pilot, lambda: size_of(app, mode) == large)


@pytest.mark.parametrize("mode", SCREENS)
async def test_help_and_palette_name_it(make_app: MakeApp, root: Path, mode: str) -> None:
    keys = [key for key in keys_of(mode) if key.action.startswith("resize_pane")]  # type: ignore[arg-type]
    assert len(keys) == 2
    runs.a_finished(root)
    async with make_app().run_test(size=(120, 40)) as pilot:
        app = await opened(pilot, mode)
        before = size_of(app, mode)
        titles = {item.title: item for item in app.get_system_commands(app.screen)}
        command = next(item for title, item in titles.items() if title.endswith(keys[1].help))
        await command.callback()
        await until(pilot, lambda: size_of(app, mode) > before)


def test_a_damaged_size_is_the_style_sheets(tmp_path: Path) -> None:
    path = tmp_path / "workbench.json"
    path.write_text('{"runs_pane": -4, "watch_pane": "wide", "generate_pane": 44}')
    kept = settings.load(path)
    assert (kept.runs_pane, kept.watch_pane, kept.generate_pane) == (0, 0, 44)

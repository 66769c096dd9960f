"""Screen 5, driven as a user would, with an engine that has no model."""

from __future__ import annotations

from pathlib import Path

import fixture_runs as runs
import pytest
from fixture_corpora import a_corpus
from pilots import MakeApp, until
from test_generate_screen import text_of
from textual.pilot import Pilot
from textual.widgets import OptionList, Select, TextArea

from workbench.app import WorkbenchApp


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of data, empty."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


async def open_data(pilot: Pilot[None]) -> WorkbenchApp:
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    await until(pilot, lambda: app.runs.has_read)
    await pilot.press("5")
    await until(pilot, lambda: app.data.corpora is not None and app.screen.query("#corpora"))
    return app


async def test_a_report_and_a_window(make_app: MakeApp, data: Path) -> None:
    a_corpus(data)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_data(pilot)
        await until(pilot, lambda: "109" in text_of(app, "#report"))
        report = text_of(app, "#report")
        for part in ("400", "8,192", "4.00", "1.48", "too short 7", "machado.txt"):
            assert part in report
        await until(pilot, lambda: "‹end of text›" in text_of(app, "#window"))
        assert "quarto planeta" in text_of(app, "#window"), "the ids were decoded"
        seen = set()
        for _ in range(4):
            window = app.bench.window
            await pilot.press("w")
            await until(pilot, lambda before=window: app.bench.window is not before)
            seen.add(app.bench.window.place if app.bench.window else None)
        assert len(seen) > 1, "another place each time"
        await pilot.press("v")
        await until(pilot, lambda: app.bench.window and app.bench.window.ids == (5, 6, 7))
        await until(pilot, lambda: text_of(app, "#window") == " partir do Sol")
        await pilot.press("y")
        assert app.clipboard == " partir do Sol"
        await pilot.press("Y")
        assert app.clipboard == str((data / "machado").resolve())


async def test_two_tokenizers_cut_what_one_types(make_app: MakeApp, data: Path, root: Path) -> None:
    a_corpus(data)
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_data(pilot)
        await until(pilot, lambda: app.screen.query_one("#source-1", Select).value != Select.NULL)
        await pilot.press("ctrl+t")
        text = app.screen.query_one("#sample-text", TextArea)
        assert text.has_focus
        text.text = ""
        await pilot.press(*"uma casa")
        await until(pilot, lambda: text_of(app, "#cut-1").startswith("2 tokens · 4.00 bytes each"))
        await until(pilot, lambda: text_of(app, "#cut-0").startswith("4 tokens · 2.00 bytes each"))
        assert "200% of the other's" in text_of(app, "#cut-0")
        assert "uma casa" in text_of(app, "#cut-0")
        assert app.bench.cuts[1] and str(app.bench.cuts[1].ids[0]) in text_of(app, "#cut-1")
        app.screen.query_one("#source-0", Select).value = app.screen.query_one(
            "#source-1", Select
        ).value
        await until(pilot, lambda: text_of(app, "#cut-0").startswith("2 tokens"))
        await pilot.press("escape")
        assert app.screen.query_one("#corpora").has_focus
        await pilot.press("escape")
        assert app.current_mode == "runs"


async def test_empty_says_how_to_prepare_and_a_corpus_appears(
    make_app: MakeApp, data: Path
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_data(pilot)
        await until(pilot, lambda: "kgpt prepare your.txt" in text_of(app, "#empty-data"))
        assert not app.screen.query_one("#data-side").display
        a_corpus(data, "new")
        app.data.read()
        await until(pilot, lambda: app.screen.query_one("#data-side").display)
        await until(pilot, lambda: text_of(app, "#report") != "")


async def test_damage_is_said_and_the_others_are_there(make_app: MakeApp, data: Path) -> None:
    a_corpus(data, "a-good")
    (a_corpus(data, "b-broken") / "manifest.json").write_text("{")
    (a_corpus(data, "c-lost") / "train-00000.bin").unlink()
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_data(pilot)
        menu = app.screen.query_one("#corpora", OptionList)
        await until(pilot, lambda: menu.option_count == 3 and app.bench.window)
        menu.focus()
        await pilot.press("down")
        await until(pilot, lambda: "not a JSON object" in text_of(app, "#window"))
        await pilot.press("down")
        await until(pilot, lambda: "Damaged corpus" in text_of(app, "#window"))
        await pilot.press("home")
        await until(pilot, lambda: app.bench.window and "planeta" in text_of(app, "#window"))


async def test_an_engine_that_dies_says_so(make_app: MakeApp, data: Path) -> None:
    a_corpus(data)
    app = make_app("crash-at-start")
    async with app.run_test(size=(120, 40)) as pilot:
        await open_data(pilot)
        await until(pilot, lambda: "The engine stopped" in text_of(app, "#window"))
        await until(pilot, lambda: "The engine stopped" in text_of(app, "#cut-0"))

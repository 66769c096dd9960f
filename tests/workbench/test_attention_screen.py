"""Screen 4, driven as a user would, with an engine that has no model."""

from __future__ import annotations

from pathlib import Path

import fixture_runs as runs
from pilots import MakeApp, until
from test_generate_screen import text_of
from textual.pilot import Pilot
from textual.widgets import Select, TextArea

from workbench.app import WorkbenchApp
from workbench.attention_study import ALL
from workbench.generations import Generation, Target


async def open_attention(pilot: Pilot[None]) -> WorkbenchApp:
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    await until(pilot, lambda: app.catalog.summaries)
    await pilot.press("4")
    await until(
        pilot,
        lambda: (
            app.screen.query("#run") and app.screen.query_one("#run", Select).value != Select.NULL
        ),
    )
    return app


async def read(pilot: Pilot[None]) -> WorkbenchApp:
    app = await open_attention(pilot)
    await pilot.press("ctrl+g")
    await until(pilot, lambda: "draws on" in text_of(app, "#draws"))
    return app


def drawn(app: WorkbenchApp) -> list[str]:
    """The token, and the words that it draws on with their shares."""
    lines = text_of(app, "#draws").split("\n\n")[1].splitlines()
    return [" ".join(line.split()[:2]) for line in lines]


async def test_what_to_do_first_is_read_whole_in_a_narrow_terminal(
    make_app: MakeApp, root: Path
) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_attention(pilot)
        await until(pilot, lambda: "ctrl+g" in text_of(app, "#map"))
        map_, pane = app.screen.query_one("#map"), app.screen.query_one("#map-pane")
        await until(pilot, lambda: 0 < map_.region.width <= pane.content_region.width)
        assert map_.region.height == 2


async def test_a_token_and_the_words_it_draws_on(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await read(pilot)
        assert drawn(app)[:3] == ["·ela draws", "ela 50.0%", "cachorra 12.5%"], (
            "its tokens summed up"
        )
        picture = text_of(app, "#map").splitlines()
        assert picture[2].split()[:2] == ["2", "cachorra"] and len(picture) == 9
        assert "9 tokens · 8 words" in text_of(app, "#attention-line")
        await pilot.press("left")
        assert drawn(app)[0] == "·e draws"
        await pilot.press("right", "right")
        assert drawn(app)[0] == "·ela draws", "it stays at the end"
        await pilot.press("y")
        assert "cachorra" in app.clipboard


async def test_layers_heads_and_rollout(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await read(pilot)
        assert "◂ all layers ▸   ◂ mean of heads ▸" in text_of(app, "#attention-view")
        await pilot.press("right_square_bracket", "right_square_bracket")
        await until(pilot, lambda: drawn(app)[1] == "A 100.0%")
        assert "◂ all layers ▸   ◂ head 2 of 3 ▸" in text_of(app, "#attention-view")
        await pilot.press("down", "down", "right_square_bracket")
        await until(pilot, lambda: drawn(app)[1] == "cachorra 100.0%")
        assert "◂ layer 2 of 2 ▸   ◂ head 3 of 3 ▸" in text_of(app, "#attention-view")
        await pilot.press("down", "right_square_bracket")
        assert "◂ layer 2 of 2 ▸   ◂ head 3 of 3 ▸" in text_of(app, "#attention-view"), (
            "there are no more"
        )
        await pilot.press("r")
        await until(pilot, lambda: drawn(app)[1] == "cachorra 100.0%")
        await pilot.press("r", "m")
        await until(pilot, lambda: drawn(app)[1] == "ela 50.0%")
        await pilot.press("up", "left_square_bracket")
        assert app.screen._view.layer == ALL == app.screen._view.head  # type: ignore[attr-defined]


async def test_ablation_beside_attention(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await read(pilot)
        await pilot.press("a")
        await until(pilot, lambda: "without" in text_of(app, "#map"))
        lines = text_of(app, "#map").splitlines()
        assert lines[0] == "·latiu is the likeliest next token: 40.0%"
        words = lines[2].split()
        assert words[:4] == ["cachorra", "-30.00", "10.00%", "12.5%"]
        assert "◀" * 10 in lines[2] and "▶" in lines[3]
        await pilot.press("left")
        await until(pilot, lambda: "·ela follows in the text" in text_of(app, "#map"))
        await pilot.press("a")
        await until(pilot, lambda: text_of(app, "#map").splitlines()[2].split()[1] == "cachorra")


async def test_the_switches_can_be_clicked(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await read(pilot)
        await pilot.click("#attention-view", offset=(10, 0))
        await until(pilot, lambda: "without" in text_of(app, "#map"))
        await pilot.click("#attention-view", offset=(2, 0))
        await until(pilot, lambda: "cachorra" in text_of(app, "#map").splitlines()[2])
        place = text_of(app, "#attention-view").index("▸")
        await pilot.click("#attention-view", offset=(2 + place, 0))
        await until(pilot, lambda: "layer 1 of 2" in text_of(app, "#attention-view"))
        await pilot.click("#draws", offset=(3, 0))
        await until(pilot, lambda: drawn(app)[0] == "·cach draws")


def test_the_change_is_drawn_where_there_is_room() -> None:
    from workbench.attention_study import Ablated, Words
    from workbench.widgets.attention_map import ablation

    words = Words((1, 2), (b"uma", b" casa"), ((0, 1), (1, 2)))
    found = Ablated(b" x", True, 0.5, (0.1, 0.6))
    for width in (30, 45, 52, 70, 200):
        picture = ablation(words, found, {}, width).plain
        assert max(map(len, picture.splitlines()[2:])) <= max(width, 44)
        assert ("◀" in picture) == (width >= 50)


async def test_a_text_of_the_generate_screen(make_app: MakeApp, root: Path) -> None:
    run = runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.catalog.summaries)
        from kgpt.protocol import GenerateOptions

        target = Target(run.path, "1250", 1250)
        written = Generation(target, "O cachorro", GenerateOptions(), "done", " late")
        written.request_id, written.number = "r", 1
        app.playground.history.append(written)
        await pilot.press("3")
        await until(pilot, lambda: app.screen.query("#prompt"))
        await pilot.press("alt+l")
        await until(pilot, lambda: app.current_mode == "attention")
        await until(pilot, lambda: "late" in text_of(app, "#draws"))
        assert app.screen.query_one("#attention-text", TextArea).text == "O cachorro late"
        assert app.screen.query_one("#checkpoint", Select).value == "1250"


async def test_another_model_reads_again(make_app: MakeApp, root: Path) -> None:
    runs.a_finished(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await read(pilot)
        app.screen.query_one("#checkpoint", Select).value = "1000"
        await until(pilot, lambda: app.attention.target and app.attention.target.step == 1000)
        await until(pilot, lambda: app.attention.words is not None and not app.attention.stage)


async def test_waiting_failing_and_the_next_try(
    make_app: MakeApp, root: Path, tmp_path: Path
) -> None:
    runs.a_finished(root)
    app = make_app("hold", str(tmp_path / "go"))
    async with app.run_test(size=(120, 40)) as pilot:
        await open_attention(pilot)
        assert "ctrl+g reads" in text_of(app, "#map")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "reading the weights" in text_of(app, "#attention-line"))
        (tmp_path / "go").touch()
        await until(pilot, lambda: "draws on" in text_of(app, "#draws"))
    broken = make_app("refuse")
    async with broken.run_test(size=(120, 40)) as pilot:
        await open_attention(pilot)
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "✗ Vocabulary" in text_of(broken, "#attention-line"))
        assert len(broken._notifications) == 1
        await pilot.press("ctrl+g")
        await until(pilot, lambda: len(broken._notifications) == 2)


async def test_an_engine_of_another_version(make_app: MakeApp, root: Path) -> None:
    from kgpt.errors import KgptFailure
    from workbench.attention_study import _matrix

    reply = {"ids": [1, 2], "weights": [[1.0], [0.5]], "type": "attention"}
    app = make_app()
    for damage in (reply, {"ids": [1]}, {"ids": [1], "weights": [["x"]]}):
        try:
            app.attention._take(
                {"words": [[0, 1]], "bytes_hex": ["41"], "type": "attention", **damage},
                lambda each: [None, _matrix(each)][0],
            )
        except KgptFailure as error:
            assert "makes no sense" in error.title
        else:
            raise AssertionError("taken")


async def test_without_a_checkpoint(make_app: MakeApp, root: Path) -> None:
    runs.a_compiling(root)
    app = make_app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.catalog.summaries)
        await pilot.press("4", "ctrl+g")
        assert any("no checkpoint" in note.title for note in app._notifications)
        await pilot.press("escape")
        assert app.current_mode == "runs"

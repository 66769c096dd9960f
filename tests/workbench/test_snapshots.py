"""What the screens look like, as pictures. After a wanted change: pytest tests/workbench --snapshot-update."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fixture_runs
import pytest
import scenes

from kgpt import language

SIZES = {"80x24": (80, 24), "120x40": (120, 40)}
Compare = Callable[..., bool]


@pytest.fixture(autouse=True)
def same_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The scenes change the working directory; go back afterwards."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scene", scenes.SCENES)
def test_screens(snap_compare: Compare, tmp_path: Path, scene: str, size: str) -> None:
    app = scenes.make_app(tmp_path)
    assert snap_compare(app, terminal_size=SIZES[size], run_before=scenes.SCENES[scene])


@pytest.fixture
def portuguese() -> Iterator[None]:
    """The screens speak Portuguese."""
    language.use(language.PORTUGUESE)
    yield
    language.use(language.ENGLISH)


@pytest.mark.usefixtures("portuguese")
@pytest.mark.parametrize("scene", scenes.SCENES)
def test_portuguese(snap_compare: Compare, tmp_path: Path, scene: str) -> None:
    app = scenes.make_app(tmp_path)
    assert snap_compare(app, terminal_size=(120, 40), run_before=scenes.SCENES[scene])


@pytest.mark.usefixtures("portuguese")
@pytest.mark.parametrize("scene", ["runs", "watch", "new-run", "help", "palette", "settings"])
def test_portuguese_in_a_small_terminal(snap_compare: Compare, tmp_path: Path, scene: str) -> None:
    """Its words are longer: where there is little room, they show what is cut."""
    app = scenes.make_app(tmp_path)
    assert snap_compare(app, terminal_size=(80, 24), run_before=scenes.SCENES[scene])


@pytest.mark.parametrize(
    "scene", ["runs", "watch", "generate", "tokens", "attention", "data", "system"]
)
def test_light(snap_compare: Compare, tmp_path: Path, scene: str) -> None:
    app = scenes.make_app(tmp_path)
    app.settings.theme = "kgpt-light"
    assert snap_compare(app, terminal_size=(120, 40), run_before=scenes.SCENES[scene])


@pytest.mark.parametrize("scene", ["runs", "watch", "data"])
def test_empty(snap_compare: Compare, tmp_path: Path, scene: str) -> None:
    app = scenes.make_app(tmp_path, lambda root: None)

    async def prepare(pilot: Any) -> None:
        await scenes.settle(pilot, lambda: app.runs.has_read)
        await pilot.press({"runs": "1", "watch": "2", "data": "5"}[scene])
        await scenes.settle(pilot, lambda: True)

    assert snap_compare(app, terminal_size=(80, 24), run_before=prepare)


@pytest.mark.parametrize("name", ["fresh", "too-hot", "tinyshakespeare"])
def test_watch_states(snap_compare: Compare, tmp_path: Path, name: str) -> None:
    app = scenes.make_app(tmp_path, run_name=name)
    assert snap_compare(app, terminal_size=(80, 24), run_before=scenes.watch_scene)


def test_stalled(snap_compare: Compare, tmp_path: Path) -> None:
    app = scenes.make_app(tmp_path, lambda root: fixture_runs.a_live(root, age=600))
    assert snap_compare(app, terminal_size=(80, 24), run_before=scenes.watch_scene)

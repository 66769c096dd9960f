"""Key table, settings and wording."""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.widget import Widget

import workbench.screens
import workbench.widgets
from workbench import settings, wording
from workbench.app import WorkbenchApp
from workbench.key import PLACE_TITLES, Place
from workbench.keys import KEYS, keys_of
from workbench.run_summary import RunSummary
from workbench.settings import Settings


def our_classes() -> list[type]:
    """The app, and every screen and widget of ours."""
    found: list[type] = [WorkbenchApp]
    for package in (workbench.screens, workbench.widgets):
        for item in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            module = importlib.import_module(item.name)
            found += [
                value
                for value in vars(module).values()
                if isinstance(value, type)
                and issubclass(value, Widget)
                and value.__module__ == item.name
            ]
    return found


def test_every_binding_of_ours_stands_in_the_table() -> None:
    ids = {key.id for key in KEYS}
    for owner in our_classes():
        for binding in vars(owner).get("BINDINGS", []):
            assert isinstance(binding, Binding)
            is_textuals = owner.__name__ == "RunTable" and binding.id is None
            assert binding.id in ids or is_textuals, f"{owner.__name__}: {binding}"


def test_every_key_of_the_table_has_its_action() -> None:
    owners = {owner.place: owner for owner in our_classes() if getattr(owner, "place", None)}
    owners["everywhere"] = WorkbenchApp
    owners["help"] = next(owner for owner in our_classes() if owner.__name__ == "HelpScreen")
    for key in KEYS:
        name = key.action.split("(")[0]
        owner = WorkbenchApp if name.startswith("app.") else owners[key.place]
        assert hasattr(owner, f"action_{name.removeprefix('app.')}"), key


def test_no_key_means_two_things_in_one_place() -> None:
    for place in PLACE_TITLES:
        names = [name for key in keys_of(place) for name in key.keys.split(",")]
        assert len(names) == len(set(names)), place
    assert len({key.id for key in KEYS}) == len(KEYS)


@pytest.mark.parametrize("place", ["runs", "watch", "generate", "attention", "data"])
def test_the_footer_is_short(place: Place) -> None:
    shown = [key for key in (*keys_of(place), *keys_of("everywhere")) if key.in_footer]
    assert 4 <= len(shown) <= 7


def test_settings_survive_a_session(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "workbench.json"
    settings.save(path, Settings(theme="nord", smoothing=0.5, seed="7"))
    assert settings.load(path) == Settings(theme="nord", smoothing=0.5, seed="7")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"smoothing": "much"}', '{"smoothing": 7.0, "x_axis": "moons", "new": 1}'],
)
def test_damaged_settings_are_the_defaults(tmp_path: Path, content: str) -> None:
    path = tmp_path / "workbench.json"
    path.write_text(content)
    assert settings.load(path) == Settings()


def test_settings_file_follows_the_environment(settings_folder: Path) -> None:
    assert settings.settings_file() == settings_folder / "kgpt" / "workbench.json"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (999.6, "1k"),
        (12_500, "12.5k"),
        (124_439_808, "124M"),
        (0.25, "0.25"),
        (1e12, "1T"),
        (float("nan"), "–"),
    ],
)
def test_short(value: float | None, text: str) -> None:
    assert wording.short(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.2, "0s"),
        (59.6, "1m 00s"),
        (185, "3m 05s"),
        (7800, "2h 10m"),
        (90_000 * 4, "4d 04h"),
        (-5, "0s"),
        (float("inf"), "–"),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert wording.duration(seconds) == text


def test_sparkline() -> None:
    assert wording.sparkline([8, 4, 2, 1], 4) == "█▄▂▁"
    assert wording.sparkline([1, 1, 1], 3) == "▁▁▁"
    assert len(wording.sparkline(range(1000), 20)) == 20
    assert wording.sparkline([1.0], 5) == ""


@pytest.mark.parametrize(("share", "done"), [(None, 0), (0.0, 0), (0.5, 5), (1.0, 10)])
def test_bar(share: float | None, done: int) -> None:
    left, right = wording.bar(share, 10)
    assert (len(left), len(left) + len(right)) == (done, 10)


def test_every_state_has_a_sentence_and_a_mark_of_its_own() -> None:
    sentences = set()
    for state in wording.STATES:
        run = RunSummary("demo", Path("demo"), state=state, problem="broken", updated=10.0, step=3)
        sentences.add(wording.situation(run, now=20.0))
    assert len(sentences) == len(wording.STATES)
    assert json.dumps(sorted(sentences))
    assert "kgpt-train --run demo --resume" in wording.situation(
        RunSummary("demo", Path("demo"), state="crashed"), now=0.0
    )

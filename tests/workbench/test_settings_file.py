"""Preferences: schema, file, environment, flags; keys that are changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgpt.errors import KgptError
from workbench.keymap import remapped
from workbench.keys import KEYS
from workbench.preferences import PREFERENCES, Preferences, load, save


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kgpt" / "workbench.toml"


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def test_nothing_set_is_the_defaults(file: Path) -> None:
    preferences = load(file, {})
    assert preferences.values == {item.name: item.default for item in PREFERENCES}
    assert not preferences.sources and not preferences.problems


def test_each_place_overrides_the_one_before(file: Path) -> None:
    write(file, 'theme = "nord"\nrefresh = 2\nplain = true\ndevice = "cpu"')
    variables = {"KGPT_WORKBENCH_THEME": "dracula", "KGPT_WORKBENCH_REFRESH": "3.5"}
    preferences = load(file, variables, {"theme": "gruvbox", "refresh": None})
    assert preferences["theme"] == "gruvbox"
    assert preferences["refresh"] == 3.5
    assert preferences["plain"] is True and preferences["device"] == "cpu"
    sources = {"theme": "--theme", "refresh": "KGPT_WORKBENCH_REFRESH"}
    assert preferences.sources == {**sources, "plain": str(file), "device": str(file)}


@pytest.mark.parametrize("item", PREFERENCES, ids=lambda item: item.name)
def test_a_bad_value_is_said_and_the_default_stays(item, file: Path) -> None:
    bad = "[1]" if not item.choices else '"no such choice"'
    preferences = load(write(file, f"{item.name} = {bad}"), {})
    assert preferences[item.name] == item.default
    (problem,) = preferences.problems
    assert item.name in problem and item.expected in problem


@pytest.mark.parametrize("text", ["theme = ", "\x00", "[keys\n", 'a = "1"\na = "2"'])
def test_a_broken_file_is_said_and_is_the_defaults(text: str, file: Path) -> None:
    preferences = load(write(file, text), {"KGPT_WORKBENCH_THEME": "nord"})
    assert "cannot be read" in preferences.problems[0]
    assert preferences["theme"] == "nord" and preferences["refresh"] == 0.5


@given(content=st.binary(max_size=80))
def test_no_file_is_too_broken(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("broken") / "workbench.toml"
    file.write_bytes(content)
    assert isinstance(load(file, {}), Preferences)


def test_a_name_that_there_is_not_is_said(file: Path) -> None:
    assert "there is no setting 'them'" in load(write(file, 'them = "x"'), {}).problems[0]


def test_saving_keeps_comments_keys_and_what_it_does_not_know(file: Path) -> None:
    write(file, '# mine\ntheme = "nord" # dark\nother = 1\n[keys]\n"watch.log" = "ctrl+l"\n')
    save(file, {"theme": "dracula", "refresh": 0.5, "plain": True, "device": "auto"})
    text = file.read_text()
    assert "# mine" in text and 'theme = "dracula" # dark' in text and "other = 1" in text
    again = load(file, {})
    assert again["theme"] == "dracula" and again["plain"] is True
    assert again.keys == {"watch.log": "ctrl+l"}
    save(file, {"theme": ""})
    assert "theme" not in file.read_text(), "the default is not written"


def test_a_damaged_file_is_not_overwritten(file: Path) -> None:
    write(file, "theme = ")
    with pytest.raises(KgptError, match="cannot be read"):
        save(file, {"theme": "nord"})
    assert file.read_text() == "theme = "


def test_keys_are_changed(file: Path) -> None:
    preferences = load(write(file, '[keys]\nwatch.log = "ctrl+l"\n"runs.new" = "N,ctrl+n"'), {})
    table = remapped(preferences.keys)
    by_id = {key.id: key for key in table.keys}
    assert by_id["watch.log"].keys == "ctrl+l" and by_id["watch.log"].written == "^l"
    assert by_id["runs.new"].written == "N ^n"
    assert dict(table.changes) == {"watch.log": "ctrl+l", "runs.new": "N,ctrl+n"}
    assert not table.problems


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"watch.nothing": "x"}, "there is no action 'watch.nothing'"),
        ({"watch.log": ""}, "is no list of keys"),
        ({"watch.log": "a b"}, "is no list of keys"),
        ({"watch.log": "x"}, "watch.log cannot have x: that is watch.x_axis"),
        ({"watch.log": "t"}, "watch.log cannot have t: that is everywhere.next_theme"),
        ({"watch.log": "K", "watch.note": "K"}, "watch.note cannot have K: that is watch.log"),
        ({"everywhere.help": "d"}, "everywhere.help cannot have d: that is runs.delete"),
    ],
)
def test_what_cannot_be_is_said_and_left(changes: dict[str, str], problem: str) -> None:
    table = remapped(changes)
    assert problem in table.problems[0]
    left = changes.keys() - {name for name, _ in table.changes}
    old = {key.id: key.keys for key in KEYS}
    for key in table.keys:
        if key.id in left:
            assert key.keys == old[key.id]


def test_two_actions_can_change_places() -> None:
    table = remapped({"watch.x_axis": "Y", "watch.log": "x"})
    assert not table.problems and len(table.changes) == 2

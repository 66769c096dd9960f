"""Renaming, deleting and noting, on real folders."""

from __future__ import annotations

from pathlib import Path

import fixture_runs as runs
import pytest

from kgpt.errors import KgptError
from kgpt.files import read_json_lines
from kgpt.runs import RunFolder, list_runs, owned
from workbench import housekeeping
from workbench.launcher import output_file


def test_rename_takes_everything_along(root: Path) -> None:
    folder = RunFolder(runs.a_finished(root).path)
    before = sorted(path.name for path in folder.path.rglob("*"))
    output_file(root, folder.name).write_text("last words")
    renamed = housekeeping.rename(folder, "atlas-2")
    assert [run.name for run in list_runs(root)] == ["atlas-2"] and renamed.name == "atlas-2"
    assert {path.name for path in renamed.path.rglob("*")} >= set(before)
    assert output_file(root, "atlas-2").read_text() == "last words"


@pytest.mark.parametrize("name", ["machado", "../out", "", "a b"])
def test_names_that_cannot_be(root: Path, name: str) -> None:
    runs.a_live(root)
    folder = RunFolder(runs.a_finished(root).path)
    with pytest.raises(KgptError):
        housekeeping.rename(folder, name)
    assert folder.exists()


def test_delete_leaves_nothing(root: Path) -> None:
    folder = RunFolder(runs.a_finished(root).path)
    output_file(root, folder.name).write_text("last words")
    housekeeping.delete(folder)
    assert list(root.iterdir()) == []


def test_an_unreadable_run_can_be_deleted(root: Path) -> None:
    housekeeping.delete(RunFolder(runs.an_unreadable(root).path))
    assert list(root.iterdir()) == []


def test_a_run_that_is_being_trained_is_left_alone(root: Path) -> None:
    folder = RunFolder(runs.a_finished(root).path)
    with owned(folder):
        for act in (lambda: housekeeping.delete(folder), lambda: housekeeping.rename(folder, "x")):
            with pytest.raises(KgptError, match="owns"):
                act()
    assert folder.exists() and (folder.checkpoints_folder / "best.json").exists()


def test_notes(root: Path) -> None:
    folder = RunFolder(runs.a_finished(root).path)
    housekeeping.add_note(folder, 500, "  rate\nhalved ")
    housekeeping.add_note(folder, 900, "é")
    rows = list(read_json_lines(housekeeping.notes_file(folder)))
    assert rows == [{"step": 500, "text": "rate halved"}, {"step": 900, "text": "é"}]
    with pytest.raises(KgptError, match="few words"):
        housekeeping.add_note(folder, 1, "   ")

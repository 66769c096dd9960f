"""The model that lessons share: trained once, found again, trained anew when it is not what it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kgpt.errors import KgptError
from kgpt.learning import small_model
from kgpt.learning.small_model import (
    is_trained,
    lesson_folder,
    small_config,
    small_corpus,
    small_run,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for temporary files, and a model that is trained in a moment."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("KGPT_LEARN_LANGUAGE", "en")
    for name, value in {"BYTES": 20_000, "VOCABULARY": 300, "STEPS": 2}.items():
        monkeypatch.setattr(small_model, name, value)
    return lesson_folder()


def test_the_folder_is_the_users_own(folder: Path, monkeypatch: pytest.MonkeyPatch):
    assert folder.stat().st_mode & 0o077 == 0
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(KgptError, match="Not your folder"):
        lesson_folder()


def test_the_text_is_about_two_subjects_and_is_made_anew_when_damaged(folder: Path):
    corpus = small_corpus()
    assert corpus.tokenizer.vocabulary_size == 300
    text = corpus.tokenizer.decode(corpus.tokens("train")[:2000])
    assert "capital" in text and "órbita" in text
    shard = next(corpus.folder.glob("*.bin"))
    whole = shard.read_bytes()
    shard.write_bytes(b"\0" * len(whole))
    assert small_corpus().folder == corpus.folder and shard.read_bytes() == whole
    assert os.listdir(folder) == [corpus.folder.name]


def test_the_model_is_trained_once_and_again_when_it_is_not_whole(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    run = small_run()
    assert "just once" in capsys.readouterr().out
    assert run.path == folder / "small" and run.status()["state"] == "finished"
    assert small_run().path == run.path and capsys.readouterr().out == ""
    assert not is_trained(run, small_config(steps=3))
    weights = run.checkpoint().path / run.checkpoint().weights_file
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-8])
    small_run()
    assert "just once" in capsys.readouterr().out and weights.read_bytes() == whole
    assert len(os.listdir(folder)) == 2


def test_what_a_lesson_changes_is_changed(folder: Path):
    assert small_config(steps=7).steps == 7 and small_config().steps == 2

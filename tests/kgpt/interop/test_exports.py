"""Where an export goes, what is refused, and the .keras file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from disk import full_disk
from tiny_run import make_run

from kgpt.commands import main
from kgpt.files import written_aside
from kgpt.interop.destination import check_destination
from kgpt.runs import RunFolder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return make_run(tmp_path_factory.mktemp("saved_models") / "tiny")


def export(run: RunFolder, output: Path, *options: str) -> int:
    return main(["export", str(run.path), "--output", str(output), *options])


def test_a_keras_file_gives_equal_logits(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import keras

    from kgpt.model.weights import load_checkpoint_model

    assert export(run, tmp_path / "new" / "model", "--format", "keras", "--json") == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    path = tmp_path / "new" / "model" / "model.keras"
    assert result["output"] == str(path)
    assert (result["format"], result["bytes"]) == ("keras", path.stat().st_size)
    ids = np.arange(20, dtype="int32").reshape(2, 10)
    expected = load_checkpoint_model(run, run.checkpoint())(ids)
    np.testing.assert_array_equal(keras.models.load_model(path)(ids), expected)


def test_a_keras_file_is_replaced_on_request_only(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.keras"
    assert export(run, path, "--format", "keras") == 0
    before = path.stat().st_mtime_ns
    assert export(run, path, "--format", "keras") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert path.stat().st_mtime_ns == before
    assert export(run, path, "--format", "keras", "--overwrite") == 0
    assert path.stat().st_mtime_ns > before
    assert [item.name for item in tmp_path.iterdir()] == ["model.keras"]


def test_a_full_disk_keeps_the_file_before(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.keras"
    assert export(run, path, "--format", "keras") == 0
    before = path.read_bytes()
    with full_disk(20_000):
        assert export(run, path, "--format", "keras", "--overwrite") == 1
    assert "Cannot write" in capsys.readouterr().err
    assert [item.name for item in tmp_path.iterdir()] == ["model.keras"]
    assert path.read_bytes() == before


def test_the_checkpoint_is_chosen(run: RunFolder, tmp_path: Path) -> None:
    import keras

    copy = RunFolder(tmp_path / "copy")
    shutil.copytree(run.path, copy.path)
    other = copy.checkpoints_folder / "step-00000020"
    shutil.copytree(copy.checkpoint().path, other)
    from safetensors.numpy import load_file

    from kgpt.files import write_json
    from kgpt.model.tensors import WEIGHTS_FILE, save_tensors

    halved = {name: value / 2 for name, value in load_file(other / WEIGHTS_FILE).items()}
    sha256 = save_tensors(other / WEIGHTS_FILE, halved, {})
    write_json(other / "state.json", {"sha256": {WEIGHTS_FILE: sha256}})
    for which in ("best", "20"):
        path = tmp_path / f"{which}.keras"
        assert export(copy, path, "--format", "keras", "--checkpoint", which) == 0
    best, chosen = (keras.models.load_model(tmp_path / f"{n}.keras") for n in ("best", "20"))
    np.testing.assert_array_equal(np.array(best.head.kernel) / 2, np.array(chosen.head.kernel))


def test_a_folder_of_others_is_never_replaced(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("years")
    assert export(run, tmp_path, "--format", "saved-model", "--overwrite") == 2
    assert "Output exists" in capsys.readouterr().err
    assert [item.name for item in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    "options",
    [["--temperature", "-1"], ["--temperature", "nan"], ["--top-k", "-1"], ["--max-tokens", "0"]],
)
def test_options_out_of_range(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    assert export(run, tmp_path / "out", "--format", "saved-model", *options) == 2
    assert "must be" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_tokenizer_of_another_model(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from kgpt.text.tokenizer import Tokenizer

    copy = RunFolder(tmp_path / "copy")
    shutil.copytree(run.path, copy.path)
    Tokenizer.bytes().save(copy.tokenizer_folder)
    assert export(copy, tmp_path / "out", "--format", "saved-model") == 2
    assert "Received: one with 257" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    for content in ("old", "new"):
        check_destination(target, True, lambda path: (path / "mark").exists())
        with written_aside(target) as aside:
            aside.mkdir()
            (aside / "mark").write_text(content)
            (aside / content).touch()
    assert sorted(item.name for item in target.iterdir()) == ["mark", "new"]
    assert [item.name for item in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_may_be_the_output(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    check_destination(target, False, lambda path: False)
    with written_aside(target) as aside:
        aside.mkdir()
        (aside / "file").touch()
    assert (target / "file").exists()


def test_an_interrupted_export_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(KeyboardInterrupt), written_aside(target) as aside:
        aside.mkdir()
        (aside / "half").touch()
        raise KeyboardInterrupt
    assert [item.name for item in target.iterdir()] == ["old"]
    assert [item.name for item in tmp_path.iterdir()] == ["out"]

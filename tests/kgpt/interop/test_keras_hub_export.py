"""keras-hub's presets and .keras files, opened by keras-hub and Keras themselves."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from disk import full_disk
from foreign_models import CONTEXT, TEXT, gpt2_logits, gpt2_tensors, tokenizer, write_gpt2
from safetensors.numpy import load_file
from tiny import MODERN_SHAPE, write_run

from kgpt.commands import main
from kgpt.config import ModelConfig
from kgpt.interop.imports import import_model
from kgpt.runs import RunFolder
from kgpt.text.tokenizer import Tokenizer

WORDS = tokenizer()
SIZE = WORDS.vocabulary_size
GPT2 = ModelConfig(
    vocabulary_size=SIZE, context_length=CONTEXT, num_layers=2, num_heads=4, width=16
)


def export(run: RunFolder, output: Path, *options: str, code: int = 0) -> Path:
    command = ["export", str(run.path), "--output", str(output)]
    assert main([*command, "--format", "keras-hub", *options]) == code
    return output


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("runs")
    source = write_gpt2(folder / "source", gpt2_tensors(SIZE))
    return import_model(str(source), "gpt2", saved_models=folder)


def random_run(folder: Path, config: ModelConfig, words: Tokenizer = WORDS) -> RunFolder:
    from kgpt.model.gpt import build_gpt

    return write_run(folder, build_gpt(config), words)


def test_keras_hub_opens_the_preset_with_the_same_logits(run: RunFolder, tmp_path: Path) -> None:
    import keras_nlp

    folder = export(run, tmp_path / "preset")
    theirs = keras_nlp.models.GPT2CausalLM.from_preset(str(folder))
    ids = WORDS.encode(TEXT)[:CONTEXT]
    row = np.array([ids], "int32")
    found = np.array(theirs({"token_ids": row, "padding_mask": np.ones_like(row)}))[0]
    np.testing.assert_allclose(found, gpt2_logits(gpt2_tensors(SIZE), ids), atol=1e-4)
    assert list(theirs.preprocessor.tokenizer("Marte é")) == WORDS.encode("Marte é")
    assert isinstance(theirs.generate("Marte", max_length=8), str)
    card = (folder / "README.md").read_text()
    assert "library_name: keras-hub" in card and "# gpt2" in card


def test_import_of_the_export_is_equal_bit_for_bit(run: RunFolder, tmp_path: Path) -> None:
    folder = export(run, tmp_path / "preset")
    again = import_model(str(folder), "again", saved_models=tmp_path)
    ours, theirs = (
        load_file(each.checkpoint().path / "weights.safetensors") for each in (run, again)
    )
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], strict=True)
    assert run.read()["tokenizer_sha256"] == again.read()["tokenizer_sha256"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"tied_head": False}, "model.tied_head=False"),
        ({"norm_epsilon": 1e-6}, "model.norm_epsilon=1e-06"),
        ({"activation": "relu2"}, "model.activation=relu2"),
    ],
)
def test_what_keras_hub_cannot_hold_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, object], named: str
) -> None:
    export(random_run(tmp_path / "run", dataclasses.replace(GPT2, **changes)), tmp_path / "out", code=2)  # fmt: skip
    assert f"keras-hub's GPT-2 has no place for {named}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_modern_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shape = dataclasses.replace(MODERN_SHAPE, vocabulary_size=SIZE)
    export(random_run(tmp_path / "run", shape), tmp_path / "out", code=2)
    said = capsys.readouterr().err
    assert "model.norm=rms" in said and "model.positions=rotary" in said


def test_other_tokenizers_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = Tokenizer.bytes()
    shape = dataclasses.replace(GPT2, vocabulary_size=words.vocabulary_size)
    export(random_run(tmp_path / "run", shape, words), tmp_path / "out", code=2)
    assert "no merges" in capsys.readouterr().err


def test_a_full_disk_leaves_nothing(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with full_disk(20_000):
        export(run, tmp_path / "out", code=1)
    assert "Cannot write" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_keras_opens_its_file_where_kgpt_is_imported(run: RunFolder, tmp_path: Path) -> None:
    path = tmp_path / "gpt2.keras"
    assert main(["export", str(run.path), "--format", "keras", "--output", str(path)]) == 0
    ids = WORDS.encode(TEXT)[:CONTEXT]
    program = f"""
import keras, kgpt, json
import numpy as np
model = keras.models.load_model({str(path)!r})
print(json.dumps(np.array(model(np.array([{ids}], "int32")))[0].tolist()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    found = np.array(json.loads(done.stdout.splitlines()[-1]))
    np.testing.assert_allclose(found, gpt2_logits(gpt2_tensors(SIZE), ids), atol=1e-4)

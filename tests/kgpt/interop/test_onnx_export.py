"""ONNX models run in onnxruntime: the same logits at once, with a cache, in batches; and the card's example."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from disk import full_disk
from foreign_models import CONTEXT, TEXT, gpt2_logits, gpt2_tensors, tokenizer, write_gpt2
from numpy_gpt import forward
from tiny import MODERN_SHAPE, write_run

from kgpt.commands import main
from kgpt.config import ModelConfig
from kgpt.interop.imports import import_model
from kgpt.runs import RunFolder

WORDS = tokenizer()
SIZE = WORDS.vocabulary_size
GPT2 = ModelConfig(
    vocabulary_size=SIZE, context_length=CONTEXT, num_layers=2, num_heads=4, width=16
)
MODERN = dataclasses.replace(MODERN_SHAPE, vocabulary_size=SIZE)
SHAPES = {
    "modern": MODERN,
    "modern, tied": dataclasses.replace(MODERN, tied_head=True, num_kv_heads=1, rotary_base=50.0),
    "no biases": dataclasses.replace(GPT2, bias=False),
    "squared relu": dataclasses.replace(GPT2, activation="relu2", tied_head=False),
    "padded": dataclasses.replace(GPT2, vocabulary_multiple=128),
    "rotary, layer norm": dataclasses.replace(GPT2, positions="rotary", norm_epsilon=1e-3),
    "rms, learned": dataclasses.replace(GPT2, norm="rms", qk_norm=True),
}


def export(run: RunFolder, output: Path, *options: str, code: int = 0) -> Path:
    command = ["export", str(run.path), "--format", "onnx", "--output", str(output)]
    assert main([*command, *options]) == code
    return output


class Session:
    """An exported model and its cache, fed as the names of its inputs ask for."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.session = onnxruntime.InferenceSession(folder / "model.onnx")
        inputs = {item.name: item.shape for item in self.session.get_inputs()}
        self.cache = {
            name: np.zeros((rows, shape[1], 0, shape[3]), np.float32)
            for name, shape in inputs.items()
            if name.startswith("past_key_values")
        }

    def __call__(self, ids_BT: Any, mask_BS: Any = None, positions_BT: Any = None) -> np.ndarray:
        ids_BT = np.array(ids_BT, np.int64)
        seen = next(iter(self.cache.values())).shape[2]
        total = seen + ids_BT.shape[1]
        if mask_BS is None:
            mask_BS = np.ones((len(ids_BT), total), np.int64)
            positions_BT = np.tile(np.arange(seen, total), (len(ids_BT), 1))
        fed = {"input_ids": ids_BT, "attention_mask": mask_BS, "position_ids": positions_BT}
        logits, *values = self.session.run(None, {**fed, **self.cache})
        outputs = [item.name for item in self.session.get_outputs()[1:]]
        assert [name.replace("present", "past_key_values") for name in outputs] == list(self.cache)
        self.cache = dict(zip(self.cache, values, strict=True))
        return np.array(logits)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of an imported GPT-2."""
    folder = tmp_path_factory.mktemp("gpt2")
    source = write_gpt2(folder / "source", gpt2_tensors(SIZE))
    return export(import_model(str(source), "run", saved_models=folder), folder / "out")


def test_logits_are_gpt2s_at_once_and_token_by_token(gpt2: Path) -> None:
    ids = WORDS.encode(TEXT)[:CONTEXT]
    expected = gpt2_logits(gpt2_tensors(SIZE), ids)
    np.testing.assert_allclose(Session(gpt2, 1)([ids])[0], expected, atol=1e-4)
    session = Session(gpt2, 1)
    pieces = [ids[:7], ids[7:12], *([token] for token in ids[12:])]
    found = np.concatenate([session([piece])[0] for piece in pieces])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_rows_of_different_lengths_are_padded_on_the_left(gpt2: Path) -> None:
    ids = WORDS.encode(TEXT)
    long, short = ids[:9], ids[4:8]
    mask = np.array([[1] * 9, [0] * 5 + [1] * 4])
    session = Session(gpt2, 2)
    places = np.clip(mask.cumsum(-1) - 1, 0, None)
    first = session([long, [0] * 5 + short], mask, places)
    mask = np.pad(mask, ((0, 0), (0, 1)), constant_values=1)
    second = session([[7], [8]], mask, [[9], [4]])
    tensors = gpt2_tensors(SIZE)
    for row, (text, token) in enumerate(((long, 7), (short, 8))):
        expected = gpt2_logits(tensors, [*text, token])
        np.testing.assert_allclose(first[row, -len(text) :], expected[:-1], atol=1e-4)
        np.testing.assert_allclose(second[row, 0], expected[-1], atol=1e-4)


@pytest.mark.parametrize("name", SHAPES)
def test_every_option_of_a_model(tmp_path: Path, name: str) -> None:
    from kgpt.model.gpt import build_gpt

    config, random = SHAPES[name], np.random.default_rng(0)
    model = build_gpt(config)
    for variable in model.weights:
        if variable.dtype == "float32":
            variable.assign(random.normal(0, 0.3, variable.shape))
    folder = export(write_run(tmp_path / "run", model, WORDS), tmp_path / "out")
    ids = WORDS.encode(TEXT)[:CONTEXT]
    stored = {weight.path: np.array(weight) for weight in model.weights}
    expected = forward(stored, config, np.array([ids]))[0]
    assert expected.shape[-1] == SIZE
    session = Session(folder, 1)
    found = np.concatenate([session([ids[:11]])[0], *(session([[token]])[0] for token in ids[11:])])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_model_is_valid_onnx_with_its_weights_beside_it(gpt2: Path) -> None:
    import onnx

    onnx.checker.check_model(gpt2 / "model.onnx", full_check=True)
    weights = sum(value.nbytes for value in gpt2_tensors(SIZE).values())
    assert (gpt2 / "model.onnx.data").stat().st_size >= weights
    assert (gpt2 / "model.onnx").stat().st_size < 40_000


def test_the_cards_example_writes(gpt2: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (gpt2 / "README.md").read_text(), re.DOTALL)
    program = example.replace("FOLDER", str(gpt2)).replace("range(20)", "range(5)")
    program = program.replace("Once upon a time", "Marte é")
    ids = WORDS.encode("Marte é")
    for _ in range(4):
        ids.append(int(gpt2_logits(gpt2_tensors(SIZE), ids)[-1].argmax()))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, env={"PYTHONUTF8": "1"}
    )
    assert done.stdout.decode().rstrip("\n") == WORDS.decode(ids).rstrip("\n")


def test_an_export_is_replaced_on_request_only_and_never_half_written(
    gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(gpt2.parent / "run")
    folder = export(run, tmp_path / "out")
    before = (folder / "model.onnx.data").read_bytes()
    export(run, folder, code=2)
    assert "--overwrite" in capsys.readouterr().err
    with full_disk(20_000):
        export(run, folder, "--overwrite", code=1)
    assert "Cannot write" in capsys.readouterr().err
    assert (folder / "model.onnx.data").read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["out"]


def test_weights_of_another_kind_are_refused(
    gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(RunFolder(gpt2.parent / "run"), tmp_path / "out", "--weights", "int8", code=2)
    assert "onnx" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

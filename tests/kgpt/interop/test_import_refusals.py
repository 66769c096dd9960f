"""What `kgpt import` refuses: a message of three lines, exit code 2, and nothing left behind."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from disk import full_disk
from foreign_models import CONFIG, gpt2_tensors, tokenizer, write_gpt2, write_openai
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from kgpt.commands import main
from kgpt.config import ModelConfig
from kgpt.errors import KgptError
from kgpt.interop.huggingface_config import model_config

IDS = tokenizer().vocabulary_size
WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_gpt2(tmp_path / "source", gpt2_tensors(IDS))


def refused(
    source: Path | str, capsys: pytest.CaptureFixture[str], *options: str, code: int = 2
) -> str:
    """What the command says when it fails as it should."""
    runs = Path(source).parent / "runs" if isinstance(source, Path) else Path("no-runs")
    capsys.readouterr()
    command = ["import", str(source), "--run", "new", "--saved-models", str(runs), *options]
    assert main(command) == code
    said = capsys.readouterr().err
    lines = said[said.index("kgpt: ") :].splitlines()
    assert len(lines) <= 3 and "Traceback" not in said
    assert not runs.exists() or not list(runs.iterdir())
    return said


def change(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


def rename(folder: Path, before: str, after: str | None) -> None:
    tensors = load_file(folder / WEIGHTS)
    value = tensors.pop(before)
    save_file({**tensors, **({after: value} if after else {})}, folder / WEIGHTS)


def replace(folder: Path, name: str, shape: tuple[int, ...]) -> None:
    tensors = load_file(folder / WEIGHTS)
    save_file({**tensors, name: np.zeros(shape, "float32")}, folder / WEIGHTS)


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


CASES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "llama": (
        lambda f: change(f, model_type="llama", architectures=["LlamaForCausalLM"]),
        ["Another architecture", "llama", "LlamaForCausalLM"],
    ),
    "activation": (lambda f: change(f, activation_function="relu"), ["'relu'"]),
    "exact gelu": (lambda f: change(f, activation_function="gelu"), ["'gelu'"]),
    "inverse layer": (
        lambda f: change(f, scale_attn_by_inverse_layer_idx=True),
        ["scale_attn_by_inverse_layer_idx"],
    ),
    "unscaled": (lambda f: change(f, scale_attn_weights=False), ["scale_attn_weights"]),
    "heads": (lambda f: change(f, n_head=3), ["source"]),
    "text for a number": (lambda f: change(f, n_layer="two"), ["source"]),
    "no width": (
        lambda f: (f / "config.json").write_text('{"model_type": "gpt2", "vocab_size": 3}'),
        ["it has no n_positions"],
    ),
    "broken configuration": (lambda f: (f / "config.json").write_text("{"), ["Unreadable file"]),
    "a list": (lambda f: (f / "config.json").write_text("[]"), ["a JSON object"]),
    "missing": (
        lambda f: rename(f, "transformer.h.1.mlp.c_fc.bias", None),
        ["1 missing: transformer.h.1.mlp.c_fc.bias"],
    ),
    "extra": (
        lambda f: replace(f, "transformer.h.2.ln_1.bias", (3,)),
        ["1 not expected: transformer.h.2.ln_1.bias"],
    ),
    "other name": (
        lambda f: rename(f, "transformer.wte.weight", "tokens"),
        ["1 missing: transformer.wte.weight; 1 not expected: tokens"],
    ),
    "many missing": (lambda f: change(f, n_layer=4), ["24 missing", "and 14 more"]),
    "shape": (
        lambda f: replace(f, "transformer.ln_f.bias", (7,)),
        ["transformer.ln_f.bias of shape (16,), received (7,)"],
    ),
    "another width": (lambda f: change(f, n_embd=32), ["expected", "received"]),
    "cut weights": (lambda f: cut(f / WEIGHTS, 3000), ["Damaged file", WEIGHTS]),
    "empty weights": (lambda f: cut(f / WEIGHTS, 0), ["Damaged file", WEIGHTS]),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), ["No weights found"]),
    "no tokenizer": (lambda f: (f / "vocab.json").unlink(), ["source"]),
    "cut tokenizer": (lambda f: cut(f / "vocab.json", 100), ["vocab.json"]),
    "another tokenizer": (
        lambda f: (
            (f / "vocab.json").unlink(),
            (f / "merges.txt").unlink(),
            tokenizer().bytes().save(f),
        ),
        ["Tokenizer does not fit the model", "300", "257"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_damaged_folder(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    damage, words = CASES[name]
    damage(folder)
    said = refused(folder, capsys)
    for word in words:
        assert word in said


def test_a_pickle_that_would_run_code(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": Evil()}))
    assert "Refused to run a pickle" in refused(folder, capsys)
    assert not (tmp_path / "ran").exists()


def test_a_missing_shard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_gpt2(tmp_path / "source", gpt2_tensors(IDS), "sharded")
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "model-00002-of-00002.safetensors" in refused(folder, capsys)


@pytest.mark.parametrize(
    "index", ["{", "[]", '{"weight_map": 3}', '{"weight_map": {"a": 3}}', "{}"]
)
def test_a_broken_index(tmp_path: Path, capsys: pytest.CaptureFixture[str], index: str) -> None:
    folder = write_gpt2(tmp_path / "source", gpt2_tensors(IDS), "sharded")
    (folder / "model.safetensors.index.json").write_text(index)
    assert "Damaged file" in refused(folder, capsys)


def test_openais_folder_without_a_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_openai(tmp_path / "source", gpt2_tensors(IDS))
    (folder / "model.ckpt.index").unlink()
    assert "Damaged file" in refused(folder, capsys)


def test_openais_weights_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_openai(tmp_path / "source", gpt2_tensors(IDS))
    (data,) = folder.glob("model.ckpt.data*")
    cut(data, 5000)
    assert "Damaged file" in refused(folder, capsys)


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_a_preset_of_another_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    class_name = "BertBackbone" if name == "config.json" else "GPT2Backbone"
    sizes = {
        "vocabulary_size": IDS, "max_sequence_length": 8, "num_layers": 1, "num_heads": 1,
        "hidden_dim": 4, "intermediate_dim": 16,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps({"class_name": class_name, "config": sizes}))
    expected = "BertBackbone" if name == "config.json" else "There is no model.weights.h5"
    assert expected in refused(folder, capsys)
    if name != "config.json":
        (folder / name).write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
        tokenizer().save(folder / "assets" / "tokenizer")
        assert "Damaged file" in refused(folder, capsys)


def test_what_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert "No model found" in refused(tmp_path / "empty", capsys)
    (tmp_path / "file").write_text("x")
    assert "No model found" in refused(tmp_path / "file", capsys)
    assert "No model found" in refused(tmp_path / "not" / "there", capsys)
    assert "No model found" in refused("three/parts/here", capsys)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--context-length", "0"], "context_length"),
        (["--context-length", "-3"], "context_length"),
        (["--add-token", "two words"], "Not a special token"),
        (["--run", "../elsewhere"], "Bad run name"),
    ],
)
def test_options_out_of_range(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], word: str
) -> None:
    assert word in refused(folder, capsys, *options)


def test_a_token_that_is_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, vocab_size=IDS + 1)
    tensors = load_file(folder / WEIGHTS)
    grown = np.pad(tensors["transformer.wte.weight"], ((0, 1), (0, 0)))
    save_file({**tensors, "transformer.wte.weight": grown}, folder / WEIGHTS)
    (folder / "added_tokens.json").write_text(json.dumps({"<|user|>": IDS}))
    assert "Token exists" in refused(folder, capsys, "--add-token", "user")


def test_a_run_that_is_there_stays(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = str(folder.parent / "runs")
    assert main(["import", str(folder), "--run", "one", "--saved-models", runs]) == 0
    before = (folder.parent / "runs" / "one" / "run.json").read_bytes()
    assert main(["import", str(folder), "--run", "one", "--saved-models", runs]) == 2
    assert "Run exists" in capsys.readouterr().err
    assert (folder.parent / "runs" / "one" / "run.json").read_bytes() == before


def test_a_full_disk(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with full_disk(20_000):
        assert "Cannot write" in refused(folder, capsys, code=1)


@given(
    st.dictionaries(
        st.sampled_from(sorted({*CONFIG, "vocab_size", "n_inner", "tie_word_embeddings"})),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.none()),
        max_size=3,
    )
)  # fmt: skip
def test_no_configuration_ends_in_anything_else(changes: dict[str, Any]) -> None:
    values = {**CONFIG, "vocab_size": 300, **changes}
    try:
        found = model_config(values, "config.json")
    except KgptError:
        return
    assert isinstance(found, ModelConfig)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
), st.sampled_from([
    "hidden_size", "num_attention_heads", "num_key_value_heads", "layer_types", "rope_parameters",
    "rope_scaling", "head_dim", "intermediate_size", "rope_theta", "attention_dropout",
]))  # fmt: skip
def test_no_qwen3_configuration_ends_in_anything_else(value: Any, name: str) -> None:
    values = {
        "model_type": "qwen3", "vocab_size": 300, "max_position_embeddings": 32,
        "num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4,
        "intermediate_size": 64,
    }  # fmt: skip
    assert model_config(values, "x").num_layers == 2
    try:
        found = model_config({**values, name: value}, "config.json")
    except KgptError:
        return
    assert isinstance(found, ModelConfig)

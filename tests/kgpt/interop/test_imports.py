"""Models of every source become runs with the same logits, beside NumPy's GPT-2 and keras-hub's own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiktoken
from foreign_models import (
    CONTEXT,
    HEADS,
    LAYERS,
    TEXT,
    WIDTH,
    gpt2_logits,
    gpt2_tensors,
    tokenizer,
    write_gpt2,
    write_openai,
)
from peak_memory import PEAK
from safetensors.numpy import load_file, save_file

from kgpt.interop.imports import import_model
from kgpt.model.tensors import load_tensors, model_config
from kgpt.runs import RunFolder
from kgpt.text.tokenizer import Tokenizer

WORDS = tokenizer()
IDS = WORDS.vocabulary_size
TOKENS = WORDS.encode(TEXT)[:CONTEXT]
GPT2_WORDS = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""As in OpenAI's encoder.py."""


@pytest.fixture(scope="module")
def tensors() -> dict[str, np.ndarray]:
    return gpt2_tensors(IDS)


def weights(run: RunFolder) -> dict[str, np.ndarray]:
    return load_file(run.checkpoint().path / "weights.safetensors")


def logits(run: RunFolder, ids: list[int]) -> np.ndarray:
    from kgpt.model.weights import load_checkpoint_model

    return np.array(load_checkpoint_model(run, run.checkpoint())(np.array([ids], "int32")))[0]


@pytest.mark.parametrize("kind", ["safetensors", "sharded", "bare", "half", "bin", "openai"])
def test_logits_are_those_of_gpt2(
    tmp_path: Path, tensors: dict[str, np.ndarray], kind: str
) -> None:
    if kind == "openai":
        write_openai(tmp_path / "source", tensors)
    else:
        write_gpt2(tmp_path / "source", tensors, kind)
    run = import_model(str(tmp_path / "source"), "new", saved_models=tmp_path)
    if kind == "half":
        tensors = {name: value.astype("float16") for name, value in tensors.items()}
    expected = gpt2_logits(tensors, TOKENS)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(logits(run, TOKENS), expected, atol=1e-4)
    assert Tokenizer.load(run.tokenizer_folder).encode(TEXT) == WORDS.encode(TEXT)


def test_a_preset_of_keras_hub(tmp_path: Path) -> None:
    import keras_nlp

    backbone = keras_nlp.models.GPT2Backbone(IDS, LAYERS, HEADS, WIDTH, 4 * WIDTH, 0.1, CONTEXT)
    random = np.random.default_rng(0)
    for weight in backbone.weights:
        if weight.dtype == "float32":
            weight.assign(random.normal(0, 0.3, weight.shape))
    words = keras_nlp.models.GPT2Tokenizer(
        vocabulary=dict(WORDS.vocabulary), merges=list(map(" ".join, WORDS.merges))
    )
    preprocessor = keras_nlp.models.GPT2CausalLMPreprocessor(words, sequence_length=CONTEXT)
    theirs = keras_nlp.models.GPT2CausalLM(backbone, preprocessor=preprocessor)
    theirs.save_to_preset(str(tmp_path / "preset"))
    run = import_model(str(tmp_path / "preset"), "new", saved_models=tmp_path)
    row = np.array([TOKENS], "int32")
    expected = np.array(theirs({"token_ids": row, "padding_mask": np.ones_like(row)}))[0]
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(logits(run, TOKENS), expected, atol=1e-4)
    assert Tokenizer.load(run.tokenizer_folder).encode(TEXT) == WORDS.encode(TEXT)


def test_ids_are_tiktokens(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    run = import_model(str(write_gpt2(tmp_path / "gpt2", tensors)), "new", saved_models=tmp_path)
    ours = Tokenizer.load(run.tokenizer_folder)
    ranks = {
        ours.decode_bytes([id]): id for token, id in WORDS.vocabulary.items() if "<|" not in token
    }
    theirs = tiktoken.Encoding(
        "small", pat_str=GPT2_WORDS, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 299}
    )
    for text in (TEXT, "don't  \n\n\t 12345 ÉAção…", "<|endoftext|> 👩‍🚀\x00\r\n", ""):
        assert ours.encode(text) == theirs.encode(text, disallowed_special=())
    assert ours.end_of_text == 299


def test_an_untied_head(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    folder = write_gpt2(tmp_path / "gpt2", tensors, tie_word_embeddings=False)
    head_VC = np.random.default_rng(1).normal(0, 0.3, (IDS, WIDTH)).astype("float32")
    stored = {**load_file(folder / "model.safetensors"), "lm_head.weight": head_VC}
    save_file(stored, folder / "model.safetensors")
    run = import_model(str(folder), "new", saved_models=tmp_path)
    np.testing.assert_array_equal(weights(run)["gpt/head/kernel"], head_VC.T)
    assert not model_config(run).tied_head


def test_rows_that_fill_up_the_table_are_left_out(
    tmp_path: Path, tensors: dict[str, np.ndarray]
) -> None:
    filled = {**tensors, "wte.weight": np.pad(tensors["wte.weight"], ((0, 20), (0, 0)))}
    folder = write_gpt2(tmp_path / "gpt2", filled)
    run = import_model(str(folder), "new", saved_models=tmp_path)
    np.testing.assert_array_equal(
        weights(run)["gpt/token_embedding/embeddings"], tensors["wte.weight"]
    )
    np.testing.assert_allclose(logits(run, TOKENS), gpt2_logits(tensors, TOKENS), atol=1e-4)


@pytest.mark.parametrize("length", [10, CONTEXT, 60])
def test_a_context_is_cut_or_repeats_its_positions(
    tmp_path: Path, tensors: dict[str, np.ndarray], length: int
) -> None:
    folder = write_gpt2(tmp_path / "gpt2", tensors)
    run = import_model(str(folder), "new", saved_models=tmp_path, context_length=length)
    assert model_config(run).context_length == length
    tiled = {**tensors, "wpe.weight": np.tile(tensors["wpe.weight"], (3, 1))[:length]}
    ids = WORDS.encode(TEXT)[:length]
    assert len(ids) == length
    np.testing.assert_allclose(logits(run, ids), gpt2_logits(tiled, ids), atol=1e-4)


def test_tokens_are_added(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    folder = write_gpt2(tmp_path / "gpt2", tensors)
    run = import_model(str(folder), "new", saved_models=tmp_path, add_tokens=["user", "<|tool|>"])
    words = Tokenizer.load(run.tokenizer_folder)
    assert [words.vocabulary[token] for token in ("<|user|>", "<|tool|>")] == [IDS, IDS + 1]
    assert words.encode(TEXT) == WORDS.encode(TEXT)
    assert words.end_of_text == WORDS.end_of_text
    found = logits(run, TOKENS)
    expected = gpt2_logits(tensors, TOKENS)
    np.testing.assert_allclose(found[:, :IDS], expected, atol=1e-4)
    rows = load_tensors(run.checkpoint().path / "weights.safetensors")[
        "gpt/token_embedding/embeddings"
    ]
    away = (rows[IDS:] - rows[:IDS].mean(0)) / rows[:IDS].std(0)
    assert (
        0.5 < np.square(away).mean() < 2
    )  # as far from the mean as other tokens, and from each other
    assert np.abs(rows[IDS] - rows[IDS + 1]).max() > 0.01


def test_tokens_that_were_added_there_come_along(
    tmp_path: Path, tensors: dict[str, np.ndarray]
) -> None:
    grown = {**tensors, "wte.weight": np.pad(tensors["wte.weight"], ((0, 1), (0, 0)))}
    folder = write_gpt2(tmp_path / "gpt2", grown)
    (folder / "added_tokens.json").write_text(json.dumps({"<|pad|>": IDS}))
    run = import_model(str(folder), "new", saved_models=tmp_path)
    assert Tokenizer.load(run.tokenizer_folder).vocabulary["<|pad|>"] == IDS


def test_what_a_run_says_of_its_source(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    folder = write_gpt2(tmp_path / "gpt2", tensors)
    run = import_model(str(folder), "new", saved_models=tmp_path)
    about = run.read()
    assert about["source"] == {"format": "Hugging Face gpt2", "path": str(folder)}
    assert about["parameters"] == sum(value.size for value in tensors.values())
    assert (about["data"], about["parent"]) == ({}, None)
    assert about["tokenizer_sha256"] == Tokenizer.load(run.tokenizer_folder).sha256
    assert run.status()["state"] == "finished"
    assert (run.metrics(), run.samples()) == ([], [])
    assert run.checkpoint("last").step == run.checkpoint("best").step == 0


def test_one_tensor_is_in_memory_at_a_time(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    """A hundred megabytes of weights, the largest tensor a hundredth of them, in a process of its own."""
    width, layers = 256, 32
    sizes = {"n_embd": width, "n_layer": layers, "n_head": 4}
    folder = write_gpt2(tmp_path / "gpt2", tensors, **sizes)
    shapes = {"wte.weight": (IDS, width), "wpe.weight": (CONTEXT, width)}
    shapes |= dict.fromkeys(("ln_f.weight", "ln_f.bias"), (width,))
    for index in range(layers):
        for name, value in tensors.items():
            if name.startswith("h.0."):
                shape = tuple(size * width // WIDTH for size in value.shape)
                shapes[name.replace("h.0.", f"h.{index}.")] = shape
    save_file(
        {f"transformer.{name}": np.ones(shape, "float32") for name, shape in shapes.items()},
        folder / "model.safetensors",
    )
    size = (folder / "model.safetensors").stat().st_size
    assert size > 95e6
    program = f"""
import sys
{PEAK}
from kgpt.interop.imports import import_model
import safetensors.numpy, tokenizers, huggingface_hub
before = peak()
import_model({str(folder)!r}, "new", saved_models={str(tmp_path)!r})
print((peak() - before) * 1024)
print([name for name in ("keras", "tensorflow", "torch") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    grown, loaded = done.stdout.splitlines()
    assert int(grown) < 0.25 * size
    assert loaded == "[]"
    shutil.rmtree(tmp_path / "new")

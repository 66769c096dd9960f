"""Folders for transformers: what lies in them, what comes back from them, and what they cannot hold."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from disk import full_disk
from foreign_models import (
    CONTEXT,
    TEXT,
    gpt2_logits,
    gpt2_tensors,
    tokenizer,
    write_gpt2,
    write_openai,
)
from safetensors.numpy import load_file
from tiny import MODERN_SHAPE, write_run
from tiny_run import make_run

from kgpt.commands import main
from kgpt.config import ModelConfig
from kgpt.files import append_json_line, write_json
from kgpt.interop.imports import import_model
from kgpt.runs import RunFolder
from kgpt.text.tokenizer import Tokenizer

WORDS = tokenizer()
GPT2 = ModelConfig(
    vocabulary_size=WORDS.vocabulary_size, context_length=CONTEXT, num_layers=2, num_heads=4, width=16
)  # fmt: skip


def export(run: RunFolder, output: Path, *options: str, code: int = 0) -> Path:
    command = ["export", str(run.path), "--format", "huggingface", "--output", str(output)]
    assert main([*command, *options]) == code
    return output


def random_run(folder: Path, config: ModelConfig) -> RunFolder:
    from kgpt.model.gpt import build_gpt

    model, random = build_gpt(config), np.random.default_rng(0)
    for variable in model.weights:
        if variable.dtype == "float32":
            variable.assign(random.normal(0, 0.3, variable.shape))
    return write_run(folder, model, WORDS)


def weights(run: RunFolder) -> dict[str, np.ndarray]:
    return load_file(run.checkpoint().path / "weights.safetensors")


def assert_same_weights(one: RunFolder, other: RunFolder) -> None:
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], strict=True)


def logits(run: RunFolder, ids: list[int]) -> np.ndarray:
    from kgpt.model.weights import load_checkpoint_model

    return np.array(load_checkpoint_model(run, run.checkpoint())(np.array([ids], "int32")))[0]


@pytest.mark.parametrize("kind", ["safetensors", "bin", "openai"])
def test_import_export_import_is_equal_bit_for_bit(tmp_path: Path, kind: str) -> None:
    tensors = gpt2_tensors(WORDS.vocabulary_size)
    if kind == "openai":
        write_openai(tmp_path / "source", tensors)
    else:
        write_gpt2(tmp_path / "source", tensors, kind)
    first = import_model(str(tmp_path / "source"), "first", saved_models=tmp_path)
    folder = export(first, tmp_path / "out")
    stored = load_file(folder / "model.safetensors")
    assert stored.keys() == {f"transformer.{name}" for name in tensors}
    for name, value in tensors.items():
        np.testing.assert_array_equal(stored[f"transformer.{name}"], value)
    second = import_model(str(folder), "second", saved_models=tmp_path)
    assert_same_weights(first, second)
    assert first.configuration()["model"] == second.configuration()["model"]
    assert first.read()["tokenizer_sha256"] == second.read()["tokenizer_sha256"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_kv_heads": 0, "tied_head": True},
        {"feed_forward_width": 0, "rotary_base": 500.0, "norm_epsilon": 1e-4, "dropout": 0.2},
    ],
)
def test_a_modern_model_comes_back_bit_for_bit(tmp_path: Path, changes: dict[str, object]) -> None:
    shape = {"vocabulary_size": WORDS.vocabulary_size, "initialization": "gpt2", **changes}
    run = random_run(tmp_path / "first", dataclasses.replace(MODERN_SHAPE, **shape))
    folder = export(run, tmp_path / "out")
    assert json.loads((folder / "config.json").read_text())["model_type"] == "qwen3"
    again = import_model(str(folder), "second", saved_models=tmp_path)
    assert_same_weights(run, again)
    assert run.configuration()["model"] == again.configuration()["model"]


@pytest.mark.parametrize("changes", [{}, {"tied_head": False}, {"feed_forward_width": 40}])
def test_a_model_without_biases_gets_zeros(tmp_path: Path, changes: dict[str, object]) -> None:
    run = random_run(tmp_path / "first", dataclasses.replace(GPT2, bias=False, **changes))
    again = import_model(str(export(run, tmp_path / "out")), "second", saved_models=tmp_path)
    ids = WORDS.encode(TEXT)[:CONTEXT]
    np.testing.assert_allclose(logits(again, ids), logits(run, ids), atol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
def test_rows_that_fill_up_the_tables_stay_here(tmp_path: Path, tied: bool) -> None:
    config = dataclasses.replace(GPT2, vocabulary_multiple=64, tied_head=tied)
    run = random_run(tmp_path / "first", config)
    folder = export(run, tmp_path / "out")
    stored, size = load_file(folder / "model.safetensors"), WORDS.vocabulary_size
    assert len(weights(run)["gpt/token_embedding/embeddings"]) == 320 > size
    assert len(stored["transformer.wte.weight"]) == size
    assert json.loads((folder / "config.json").read_text())["vocab_size"] == size
    if tied:
        named = {name.removeprefix("transformer."): value for name, value in stored.items()}
        ids = WORDS.encode(TEXT)[:CONTEXT]
        np.testing.assert_allclose(gpt2_logits(named, ids), logits(run, ids), atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"activation": "relu2"}, "model.activation=relu2"),
        ({"norm": "rms"}, "model.norm=rms"),
        ({"num_kv_heads": 2}, "model.num_kv_heads=2"),
        ({"positions": "rotary"}, "model.norm=layer, model.qk_norm=False, model.activation=gelu"),
    ],
)
def test_what_no_class_holds_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, object], named: str
) -> None:
    run = random_run(tmp_path / "run", dataclasses.replace(GPT2, **changes))
    export(run, tmp_path / "out", code=2)
    said = capsys.readouterr().err
    assert f"has no place for {named}" in said and "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_the_tokenizer_is_ours(tmp_path: Path) -> None:
    words = Tokenizer.train([TEXT], 320, special_tokens=["padding", "user"])
    tensors = gpt2_tensors(words.vocabulary_size)
    source = write_gpt2(tmp_path / "source", tensors)
    for name in ("vocab.json", "merges.txt"):
        (source / name).unlink()
    words.save(source)
    run = import_model(str(source), "run", saved_models=tmp_path)
    folder = export(run, tmp_path / "out")
    theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in (TEXT, "don't  \n\n\t 12345 ÉAção… 👩‍🚀\x00\r\n ", ""):
        assert theirs.encode(text).ids == words.encode(text)
        assert theirs.decode(words.encode(text)) == text
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    assert settings["pad_token"] == "<|padding|>"
    assert settings["model_max_length"] == CONTEXT
    generation = json.loads((folder / "generation_config.json").read_text())
    assert generation["pad_token_id"] == words.padding
    assert generation["eos_token_id"] == words.end_of_text
    assert (folder / "merges.txt").read_text().startswith("#version")


def test_the_card_tells_what_the_run_knows(tmp_path: Path) -> None:
    run = make_run(tmp_path / "cities")
    data = {"path": "/home/somebody/data/letters", "train_tokens": 123456, "validation_tokens": 99}
    write_json(run.run_file, {**run.read(), "data": data})
    append_json_line(run.metrics_file, {"step": 5, "train_loss": 7.77})
    append_json_line(run.metrics_file, {"step": 10, "validation_loss": 1.25, "bits_per_byte": 0.5})
    row = {"step": 10, "prompt": "Paris é", "text": " bela.\nSim."}
    append_json_line(run.samples_file, row)
    append_json_line(run.path / "evaluations.jsonl", {"step": 10, "task": "quiz", "accuracy": 0.75})
    card = (export(run, tmp_path / "out") / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\n")
    for part in (
        "# cities",
        "| num_kv_heads | 2 |",
        "| data | letters |",
        "| train tokens | 123,456 |",
        "| validation loss | 1.25 |",
        "| bits per byte | 0.5 |",
        "| quiz: accuracy | 0.75 |",
        "> Paris é bela.\n> Sim.",
        'tokenizer("Paris é", return_tensors="pt")',
    ):
        assert part in card
    assert "7.77" not in card and "/home/somebody" not in card


def test_an_export_is_replaced_on_request_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run")
    folder = export(run, tmp_path / "out")
    (folder / "mark").touch()
    export(run, folder, code=2)
    assert "--overwrite" in capsys.readouterr().err and (folder / "mark").exists()
    export(run, folder, "--overwrite")
    assert not (folder / "mark").exists()


def test_a_folder_of_somebody_elses_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("# my thesis")
    export(make_run(tmp_path / "run"), tmp_path / "out", "--overwrite", code=2)
    assert (tmp_path / "out" / "README.md").read_text() == "# my thesis"


def test_a_full_disk_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run")
    with full_disk(20_000):
        export(run, tmp_path / "out", code=1)
    assert "Cannot write" in capsys.readouterr().err
    assert [item.name for item in tmp_path.iterdir()] == ["run"]


def test_a_damaged_checkpoint_is_not_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run")
    file = run.checkpoint().path / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    export(run, tmp_path / "out", code=1)
    assert "Damaged" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

"""What a person does from Python."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tiny import GPT2_SHAPE, LABELS, TEXT, write_classifier

import kgpt
from kgpt.inference.thresholds import Thresholds


@pytest.fixture(scope="module")
def run(tiny_run) -> kgpt.Run:
    return kgpt.open_run("tiny", saved_models=tiny_run.path.parent)


def test_what_a_run_knows_of_itself(run):
    assert run.name == "tiny" and run.config.model == GPT2_SHAPE
    assert run.tokenizer.decode(run.tokenizer.encode(TEXT)) == TEXT
    assert [checkpoint.step for checkpoint in run.checkpoints] == [10]
    assert run.metrics() == []


def test_it_writes(run):
    assert run.generate("Olá", max_tokens=120, temperature=0) == TEXT.removeprefix("Olá")
    assert run.generate("Olá", temperature=0, stop=["vermelha"]) == ", coração! A maçã é "
    assert run.generate("x", seed=1, temperature=3) == run.generate("x", seed=1, temperature=3)
    assert run.generate("x", seed=1, temperature=3) != run.generate("x", seed=2, temperature=3)


def test_it_writes_piece_by_piece(run):
    pieces = list(run.stream("Olá", max_tokens=120, temperature=0))
    assert "".join(pieces) == TEXT.removeprefix("Olá")
    assert len(pieces) > 40 and all(pieces) and "�" not in "".join(pieces)


def test_the_model_gives_scores_for_every_token(run):
    logits = np.asarray(run.load_model()(np.array([[256, 79], [1, 2]], "int32")))
    assert logits.shape == (2, 2, 257) and logits.dtype == np.float32
    assert logits[0, 1].argmax() == "Olá".encode()[1]


def test_a_classifier_labels(run, tmp_path):
    write_classifier(tmp_path / "labels")
    labels = kgpt.open_run("labels", saved_models=tmp_path)
    first, second = labels.classify(["You won a prize", "Olá"])
    assert first.text == "You won a prize" and first.label in LABELS
    assert sum(second.probabilities.values()) == pytest.approx(1)
    assert labels.classify(["Olá"], Thresholds(1.0))[0].label is None
    with pytest.raises(kgpt.KgptError, match="A classifier writes no text"):
        labels.generate("Olá")
    with pytest.raises(kgpt.KgptError, match="Run tiny writes text, and gives no labels"):
        run.classify(["Olá"])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda run: run.generate("a", temprature=1), "no option 'temprature'"),
        (lambda run: run.generate("a", temperature=-1), "temperature must be"),
        (lambda run: list(run.stream("a", top_p=0)), "top_p must be"),
        (lambda run: run.generate("a" * 200), "1 to 128 tokens"),
        (lambda run: kgpt.open_run("nobody", saved_models=run.folder.path.parent), "There is .*tiny"),
        (lambda run: kgpt.open_run(run.folder.path, checkpoint="7").load_model(), "no checkpoint '7'"),
    ],
)  # fmt: skip
def test_mistakes(run, call, words):
    with pytest.raises(kgpt.KgptError, match=words):
        call(run)


def test_training(tmp_path):
    from kgpt.text.prepare import prepare

    (tmp_path / "a.txt").write_text("\n".join(f"linha {n} de muitas" for n in range(60)))
    prepare([tmp_path / "a.txt"], tmp_path / "data", tokenizer="bytes", validation="tail")
    config = kgpt.TrainConfig(
        data=str(tmp_path / "data"),
        run="mine",
        model=kgpt.ModelConfig(context_length=8, num_layers=1, num_heads=1, width=8),
        optimizer=kgpt.OptimizerConfig(warmup_steps=0),
        steps=2,
        batch_size=2,
        xla="off",
    )
    result = kgpt.train(config, saved_models=tmp_path / "runs")
    assert result.finished and result.steps == 2
    run = kgpt.open_run("mine", saved_models=tmp_path / "runs")
    assert run.config.model.vocabulary_size == 257 and run.config.optimizer == config.optimizer
    assert [row["step"] for row in run.metrics() if "train_loss" in row] == [2]
    with pytest.raises(kgpt.KgptError, match="--resume"):
        kgpt.train(config, saved_models=tmp_path / "runs")
    with pytest.raises(kgpt.KgptError, match="There is mine"):
        kgpt.train(
            dataclasses.replace(config, run="mini"), saved_models=tmp_path / "runs", resume=True
        )

from __future__ import annotations

import dataclasses
import json
import math
import time

import pytest
from disk import full_disk
from stop_at import StopAt

from kgpt.config import TrainConfig
from kgpt.config_values import from_dict, to_dict
from kgpt.errors import KgptError, KgptFailure
from kgpt.runs import RunFolder

TIMES = ("seconds", "tokens_per_second", "mfu")


def timeless(rows):
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def weights(run: RunFolder, step: int) -> dict[str, bytes]:
    folder = run.checkpoints_folder / f"step-{step:08d}"
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


def test_a_run_leaves_what_the_contract_promises(train, config):
    result = train(config)
    run = result.run
    assert result.finished and result.steps == 12
    assert run.status()["state"] == "finished" and run.status()["step"] == 12
    values = run.read()
    assert values["task"] == "pretraining" and values["format_version"] == 1
    assert from_dict(values["configuration"]).model.vocabulary_size == 257
    rows = run.metrics()
    training = [row for row in rows if "train_loss" in row]
    assert [row["step"] for row in training] == [2, 4, 6, 8, 10, 12]
    assert {
        "step", "tokens", "seconds", "train_loss", "learning_rate", "gradient_norm", "tokens_per_second",
    } <= set(training[-1])  # fmt: skip
    assert training[-1]["tokens"] == 12 * 4 * 16
    evaluations = [row for row in rows if "validation_loss" in row]
    assert [row["step"] for row in evaluations] == [6, 12]
    assert evaluations[1]["validation_loss"] < evaluations[0]["validation_loss"] < math.log(257)
    assert [row["step"] for row in run.samples()] == [6, 12]
    assert (
        run.tokenizer_folder / "vocabulary.json"
    ).is_file() and "parameters" in run.log_file.read_text()


def test_only_the_kept_checkpoints_the_best_and_the_last_stay(train, config):
    run = train(config, keep=1).run
    kept = run.checkpoints()
    assert [item.step for item in kept] == [8, 12]
    assert kept[1].is_best and kept[1].is_last
    more = train(config, run="more", keep=3).run
    assert [item.step for item in more.checkpoints()] == [4, 6, 8, 12]


def test_the_first_loss_is_that_of_knowing_nothing(train, config):
    run = train(config, log_every=1, steps=2).run
    assert run.metrics()[0]["train_loss"] == pytest.approx(math.log(257), rel=0.01)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_stopped_run_resumes_to_the_very_same_end(train, config, precision):
    config = dataclasses.replace(config, precision=precision)
    whole = train(config, run="whole").run
    # stops inside a logging interval, between checkpoints, before the first epoch is over
    part = train(config, run="part", log_every=2, reporter=StopAt(6))
    assert not part.finished and part.run.status()["state"] == "stopped" and 6 <= part.steps < 12
    resumed = train(config, run="part", resume=True)
    assert resumed.finished
    assert weights(resumed.run, 12) == weights(whole, 12)
    assert timeless(resumed.run.metrics()) == timeless(whole.metrics())
    assert resumed.run.samples() == whole.samples()


def test_a_damaged_checkpoint_is_noticed_and_the_one_before_used(train, config):
    whole = train(config, run="whole", keep=3).run
    run = train(config, keep=3, steps=12).run
    last = run.checkpoint("last").path / "weights.safetensors"
    content = bytearray(last.read_bytes())
    content[-1] ^= 1
    last.write_bytes(content)
    said = []
    reporter = StopAt(10**9)
    reporter.message = said.append
    train(config, keep=3, resume=True, reporter=reporter)
    assert any("Damaged checkpoint" in line for line in said)
    assert weights(run, 12) == weights(whole, 12)


def test_without_a_whole_checkpoint_the_run_says_so(train, config):
    run = train(config).run
    for checkpoint in run.checkpoints():
        path = checkpoint.path / "optimizer.safetensors"
        path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(KgptFailure, match="No whole checkpoint"):
        train(config, resume=True, steps=20)


def test_a_full_disk_keeps_the_checkpoint_before(train, config):
    run = train(config, keep=3).run
    before = [(item.step, weights(run, item.step)) for item in run.checkpoints()]
    with full_disk(20_000), pytest.raises(KgptFailure, match="File too large"):
        train(config, keep=3, resume=True, steps=16)
    assert [(item.step, weights(run, item.step)) for item in run.checkpoints()] == before
    assert run.status()["state"] == "failed"
    assert train(config, keep=3, resume=True, steps=16).steps == 16


def test_a_loss_that_is_no_number_stops_the_run(train, config, tmp_path):
    optimizer = dataclasses.replace(
        config.optimizer, name="adamw", learning_rate=1e30, clip_norm=0.0, warmup_steps=0
    )
    with pytest.raises(KgptFailure, match="Training diverged"):
        train(config, optimizer=optimizer)
    run = RunFolder(tmp_path / "runs" / "tiny")
    assert run.status()["state"] == "failed"
    assert run.metrics()[-1]["train_loss"] is None


def test_two_trainers_cannot_own_a_run(train, config):
    from kgpt.runs import owned

    run = train(config, steps=2).run
    with owned(run), pytest.raises(KgptError, match="Another trainer"):
        train(config, resume=True)


def test_what_changes_the_run_is_refused_on_resume(train, config, tmp_path):
    from kgpt.text.prepare import prepare

    train(config, steps=2)
    (tmp_path / "other.txt").write_text("outro texto, bem outro. " * 50, encoding="utf-8")
    prepare(
        [tmp_path / "other.txt"], output=tmp_path / "other", tokenizer="bytes", validation="tail"
    )
    with pytest.raises(KgptError, match="Data changed"):
        train(config, resume=True, data=str(tmp_path / "other"))
    prepare(
        [tmp_path / "other.txt"], output=tmp_path / "bpe", vocabulary_size=270, validation="tail"
    )
    with pytest.raises(KgptError, match="Tokenizer changed"):
        train(config, resume=True, data=str(tmp_path / "bpe"))


def test_a_run_that_exists_is_not_overwritten(train, config):
    run = train(config, steps=2).run
    before = run.metrics_file.read_bytes()
    with pytest.raises(KgptError, match="--resume"):
        train(config, steps=2)
    assert run.metrics_file.read_bytes() == before


def test_a_corpus_shorter_than_a_context_leaves_no_run(train, config, tmp_path):
    model = dataclasses.replace(config.model, context_length=100_000)
    with pytest.raises(KgptError, match="shorter than one context"):
        train(config, model=model)
    assert not (tmp_path / "runs").exists()


def test_a_time_budget_fixes_the_steps(train, config):
    result = train(
        config, steps=1_000_000, minutes=0.05, evaluate_every=10**6, checkpoint_every=10**6
    )
    assert result.finished and 5 < result.steps < 1_000_000
    values = result.run.read()
    assert values["configuration"]["steps"] == result.steps and values["steps_fixed_at"] <= 20
    assert result.seconds < 30


class Slowing:
    """From some step on, each row of the metrics takes a while, as on a machine that others use too."""

    def message(self, text):
        pass

    def row(self, row, steps):
        if row["step"] > 100:
            time.sleep(0.1)


def test_steps_are_taken_away_soon_when_the_machine_becomes_slower(config, tmp_path):
    from kgpt.training.trainer import train

    changes = {"minutes": 0.2, "evaluate_every": 10**6, "checkpoint_every": 10**6, "log_every": 1}
    slow = dataclasses.replace(config, steps=1_000_000, **changes)
    result = train(slow, saved_models=tmp_path / "runs", reporter=Slowing())
    assert "Steps have become slower" in result.run.log_file.read_text("utf-8")
    assert result.finished and result.seconds < 30  # with the first number of steps, minutes


def test_epochs_become_steps(train, config):
    result = train(config, epochs=0.5)
    windows = result.run.read()["data"]["train_tokens"] // 16 - 1
    assert result.steps == pytest.approx(windows / 4 / 2, abs=2)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2},
        {"batch_size": 5},
        {"precision": "bfloat16"},
        {"optimizer.name": "adamw"},
        {"optimizer.learning_rate": 0.01},
        {"optimizer.embedding_learning_rate": 0.1},
        {"optimizer.muon_learning_rate": 0.1},
        {"optimizer.muon_momentum": 0.5},
        {"optimizer.beta_1": 0.5},
        {"optimizer.beta_2": 0.5},
        {"optimizer.epsilon": 0.1},
        {"optimizer.weight_decay": 10.0},
        {"optimizer.clip_norm": 0.01},
        {"optimizer.schedule": "linear"},
        {"optimizer.warmup_steps": 0},
        {"optimizer.final_fraction": 0.9},
        {"optimizer.decay_fraction": 0.5},
        {"gradient_accumulation": 2},
        {"precision": "float16"},
        {"model.num_layers": 2},
        {"model.num_heads": 4},
        {"model.num_kv_heads": 1},
        {"model.width": 32},
        {"model.feed_forward_width": 8},
        {"model.context_length": 8},
        {"model.positions": "learned"},
        {"model.rotary_base": 10.0},
        {"model.norm": "layer"},
        {"model.norm_epsilon": 0.1},
        {"model.qk_norm": True},
        {"model.activation": "swiglu"},
        {"model.bias": False},
        {"model.tied_head": False},
        {"model.dropout": 0.0},
        {"model.initialization": "zero-output"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_option_changes_the_result(change, config):
    """Five steps with the option and without: the losses differ."""
    assert _losses(_changed(config, change)) != _losses(config)


def _changed(config: TrainConfig, change: dict) -> TrainConfig:
    ((key, value),) = change.items()
    first, _, second = key.partition(".")
    return from_dict({first: {second: value} if second else value}, config)


_KNOWN: dict[str, list[float]] = {}


def _losses(config: TrainConfig) -> list[float]:
    from kgpt.training.preparation import (
        compiled_model,
        open_corpus,
        training_batches,
        with_vocabulary,
    )

    key = json.dumps(to_dict(config))
    if key not in _KNOWN:
        config = with_vocabulary(dataclasses.replace(config, steps=5), 257)
        model = compiled_model(config)
        model.run_eagerly = True  # compiling would take longer than five steps
        batches = training_batches(config, open_corpus(config.data))
        losses = []
        for step in range(5):
            losses.append(float(model.train_on_batch(*batches.at(step))))
        _KNOWN[key] = losses
    return _KNOWN[key]

"""A run that stopped goes on as if it had not: with every part that has a state."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal

import numpy as np
import pytest
from safetensors.numpy import load_file

from kgpt.config import OptimizerConfig
from kgpt.errors import KgptError


class StopAfter:
    """A reporter that asks the trainer to stop, as Ctrl-C does, when it sees a step."""

    def __init__(self, step: int, evaluation: bool = False) -> None:
        self.step, self.evaluation = step, evaluation
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)

    def row(self, row, steps: int) -> None:
        if row["step"] >= self.step and ("validation_loss" in row) == self.evaluation:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def everything(config):
    """Dropout, accumulation, averages, Muon and bfloat16, over the border of two epochs."""
    optimizer = dataclasses.replace(config.optimizer, ema_decay=0.9)
    return dataclasses.replace(
        config, optimizer=optimizer, precision="bfloat16", gradient_accumulation=2, batch_size=20
    )


def test_everything_that_has_a_state_is_kept(train, everything, same_end):
    whole = train(everything, run="whole").run
    part = train(everything, run="part", reporter=StopAfter(6))
    assert not part.finished and part.steps < 12
    resumed = train(everything, run="part", resume=True)
    tokens = resumed.run.read()["data"]["train_tokens"]
    assert tokens // 16 < 12 * 40  # the windows of one epoch are fewer than those of all steps
    assert (resumed.run.checkpoint("last").path / "ema.safetensors").is_file()
    same_end(resumed.run, whole, 12)


def test_averaged_weights_are_measured_and_can_be_named(train, everything):
    from kgpt.evaluation.loss import LossEvaluator
    from kgpt.model.weights import load_checkpoint_model
    from kgpt.text.shards import Corpus

    config = dataclasses.replace(everything, precision="float32")
    run = train(config).run
    row = run.metrics()[-1]
    assert row["ema_validation_loss"] != row["validation_loss"]
    corpus = Corpus.open(config.data)
    for name, key in (("last", "validation_loss"), ("last-ema", "ema_validation_loss")):
        model = load_checkpoint_model(run, run.checkpoint(name))
        evaluator = LossEvaluator(model, corpus.tokenizer.end_of_text)
        loss = evaluator.measure(corpus.tokens("validation"), corpus.validation_bytes).loss
        assert loss == pytest.approx(row[key], rel=1e-5)
    folder = run.checkpoint("last").path
    weights, averages = (load_file(folder / f"{n}.safetensors") for n in ("weights", "ema"))
    assert weights.keys() == averages.keys()
    assert not np.array_equal(*(t["gpt/final_norm/scale"] for t in (weights, averages)))


def test_without_averages_their_name_is_refused(train, config):
    run = train(config, steps=2).run
    with pytest.raises(KgptError, match="keeps no average"):
        run.checkpoint("best-ema")


def test_a_run_at_a_stable_rate_can_be_made_longer(train, config, same_end):
    """The run of 12 steps that becomes one of 20 is the run that had 20 from its beginning."""
    optimizer = OptimizerConfig(schedule="wsd", warmup_steps=2, decay_fraction=0.5)
    config = dataclasses.replace(config, optimizer=optimizer, evaluate_every=4, keep=1)
    long = train(config, run="long", steps=20).run
    short = train(config, run="short", steps=12).run
    assert [item.step for item in short.checkpoints()][0] == 7  # where the rate begins to fall
    reporter = StopAfter(10**9)
    extended = train(config, run="short", steps=20, resume=True, reporter=reporter).run
    assert any("going on from step 7" in line for line in reporter.said)
    same_end(extended, long, 20)
    assert extended.read()["configuration"]["step_changes"] == ["0:12", "7:20"]


def test_more_steps_change_the_rates_from_there_on(train, config, same_end):
    """And `run.json` knows where, so that its configuration gives the same run again."""
    train(config, run="grown", steps=6)
    grown = train(config, run="grown", steps=12, resume=True).run
    rates = [row["learning_rate"] for row in grown.metrics() if "train_loss" in row]
    assert rates[2] < rates[3]
    values = grown.configuration()
    assert values["step_changes"] == ["0:6", "6:12"]
    again = train(config, run="again", steps=12, step_changes=tuple(values["step_changes"])).run
    same_end(again, grown, 12)


def test_training_ends_early_where_nothing_improves(train, config, same_end):
    worse = dataclasses.replace(config.optimizer, learning_rate=0.5, muon_learning_rate=2.0)
    config = dataclasses.replace(config, optimizer=worse, evaluate_every=2, steps=60, keep=9)
    whole = train(config, run="whole", early_stopping=3)
    assert whole.finished and whole.steps < 60
    losses = [r["validation_loss"] for r in whole.run.metrics() if "validation_loss" in r]
    assert min(losses) == losses[-4]
    assert whole.run.status()["state"] == "finished" and whole.run.status()["early"]
    assert "Stopped early: 3 evaluations since the best" in whole.run.log_file.read_text()
    # a run that was stopped in between counts the same evaluations
    stop = StopAfter(whole.steps - 2, evaluation=True)
    assert not train(config, run="part", early_stopping=3, reporter=stop).finished
    resumed = train(config, run="part", early_stopping=3, resume=True)
    assert resumed.steps == whole.steps
    same_end(resumed.run, whole.run, whole.steps)


def test_a_request_during_an_evaluation_ends_it(train, config, same_end):
    """The checkpoint is there already; a resumed run evaluates again."""
    whole = train(config, run="whole").run
    prompts = {"sample_prompts": ("O número",)}
    stopped = train(config, run="part", reporter=StopAfter(12, evaluation=True), **prompts)
    assert not stopped.finished and stopped.steps == 12
    assert stopped.run.status()["state"] == "stopped"
    assert [row["step"] for row in stopped.run.samples()] == [6]
    resumed = train(config, run="part", resume=True, **prompts)
    assert resumed.finished
    same_end(resumed.run, whole, 12)


def test_data_may_move(train, config, data, tmp_path, same_end):
    whole = train(config, run="whole").run
    train(config, run="part", reporter=StopAfter(6))
    shutil.copytree(data, tmp_path / "elsewhere")
    resumed = train(config, run="part", resume=True, data=str(tmp_path / "elsewhere")).run
    same_end(resumed, whole, 12)


def test_data_of_the_same_size_is_not_the_same_data(train, config, data, tmp_path):
    train(config, steps=2)
    moved = tmp_path / "elsewhere"
    shutil.copytree(data, moved)
    manifest = json.loads((moved / "manifest.json").read_text())
    shard = next(s for s in manifest["shards"] if s["split"] == "train")
    shard["sha256"] = "0" * 64
    (moved / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(KgptError, match="train-00000.bin has other tokens"):
        train(config, resume=True, data=str(moved))
    shutil.rmtree(moved)
    with pytest.raises(KgptError, match="--data"):
        train(config, resume=True, data=str(moved))


def test_a_run_of_a_newer_format_is_refused(train, config):
    run = train(config, steps=2).run
    values = json.loads(run.run_file.read_text())
    run.run_file.write_text(json.dumps({**values, "format_version": 99}))
    with pytest.raises(KgptError, match="format version 99; this kgpt reads up to 1"):
        train(config, resume=True, steps=4)


def test_a_changed_state_is_noticed(train, config):
    run = train(config, keep=3).run
    path = run.checkpoint("last").path / "state.json"
    path.write_text(path.read_text().replace('"step": 12', '"step": 13', 1))
    reporter = StopAfter(10**9)
    train(config, keep=3, resume=True, reporter=reporter)
    assert any("state.json is changed" in line for line in reporter.said)

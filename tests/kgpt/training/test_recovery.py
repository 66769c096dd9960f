"""Training that goes wrong: a weight is damaged in memory, as a bad update or a bad memory cell would do it."""

from __future__ import annotations

import dataclasses

import pytest

from kgpt.errors import KgptFailure
from kgpt.runs import RunFolder


class Damage:
    """A reporter that multiplies a weight when it sees one of the steps, and may end the process's work at another."""

    def __init__(self, factor: float, *steps: int, dies_at: int = 0) -> None:
        self.factor, self.steps, self.dies_at = factor, list(steps), dies_at
        self.said: list[str] = []
        self.session = None

    def message(self, text: str) -> None:
        self.said.append(text)

    def row(self, row, steps: int) -> None:
        if self.session.progress.rollbacks and row["step"] == self.dies_at:
            raise KeyboardInterrupt
        if self.steps and row["step"] == self.steps[0]:
            self.steps.pop(0)
            weight = self.session.model.trainable_variables[0]
            weight.assign(weight * self.factor)


@pytest.fixture
def damaged(tmp_path):
    """`damaged(config, reporter)` trains as `train` does, with weights that the reporter can reach."""
    from kgpt.runs import owned
    from kgpt.text.tokenizer import Tokenizer
    from kgpt.training.precision import resolved
    from kgpt.training.preparation import create_run_folder, open_corpus, with_vocabulary
    from kgpt.training.pretraining import Pretraining
    from kgpt.training.trainer import TrainingSession

    def run(config, reporter, **changes):
        config = resolved(with_vocabulary(dataclasses.replace(config, **changes), 257))
        folder = RunFolder(tmp_path / "runs" / config.run)
        corpus = open_corpus(config.data)
        tokenizer = Tokenizer.load(corpus.tokenizer_folder)
        create_run_folder(folder, config, corpus, tokenizer)
        reporter.session = TrainingSession(folder, config, Pretraining(corpus, tokenizer), reporter)
        with owned(folder):
            return reporter.session.work()

    return run


def test_a_run_goes_back_and_on_with_other_data(damaged, train, config, same_end):
    options = {"on_divergence": "rollback", "steps": 16}
    reporter = Damage(float("nan"), 10)
    result = damaged(config, reporter, run="back", **options)
    assert result.finished and result.steps == 16
    progress = reporter.session.progress
    # damaged after step 10, seen at step 11, back to the checkpoint of step 8; batches 8 to 10 are not read again
    assert (progress.rollbacks, progress.batches_skipped) == (1, 3)
    said = "not a finite number at step 11. Back to step 8, and on with batch 11 (1 of 3 times)"
    assert any(said in line for line in reporter.said) and said in result.run.log_file.read_text()
    steps = [row["step"] for row in result.run.metrics() if "train_loss" in row]
    assert steps == list(range(2, 17, 2))
    untouched = train(config, run="untouched", steps=16).run
    rows, others = (
        {row["step"]: row["train_loss"] for row in run.metrics() if "train_loss" in row}
        for run in (result.run, untouched)
    )
    assert rows[8] == others[8] and rows[16] != others[16]
    # killed after it went back, the run skips the same data
    with pytest.raises(KeyboardInterrupt):
        damaged(config, Damage(float("nan"), 10, dies_at=10), run="killed", **options)
    again = train(config, run="killed", resume=True, **options)
    same_end(again.run, result.run, 16)


def test_a_loss_that_jumps_and_stays_stops_the_run(damaged, config, tmp_path):
    options = {"log_every": 5, "evaluate_every": 200, "checkpoint_every": 20, "steps": 90}
    reporter = Damage(40.0, 65)
    with pytest.raises(KgptFailure, match="jumped to .* at step 70, and stayed there"):
        damaged(config, reporter, **options)
    run = RunFolder(tmp_path / "runs" / "tiny")
    assert run.status()["state"] == "failed" and "jumped" in run.status()["error"]["message"]
    assert [item.step for item in run.checkpoints()] == [40, 60]
    # and is no reason to stop where nobody looks for spikes
    reporter = Damage(40.0, 65)
    assert damaged(config, reporter, run="blind", spike_deviations=0.0, **options).finished


def test_a_run_does_not_go_back_for_ever(damaged, config):
    reporter = Damage(float("nan"), 6, 6, 6)
    options = {"on_divergence": "rollback", "max_rollbacks": 2, "steps": 16}
    with pytest.raises(KgptFailure, match="gone back 2 times already"):
        damaged(config, reporter, **options)


def test_without_a_checkpoint_from_before_it_stops(damaged, config):
    with pytest.raises(KgptFailure, match="no checkpoint from before"):
        damaged(config, Damage(float("nan"), 2), on_divergence="rollback")

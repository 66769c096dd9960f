from __future__ import annotations

import dataclasses
import math

import pytest

from kgpt.config import ModelConfig, OptimizerConfig, TrainConfig
from kgpt.training.precision import precision_of


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ([], "float32"),
        ([(7, 5)], "float16"),  # T4
        ([(7, 0), (8, 0)], "float16"),
        ([(8, 0)], "bfloat16"),  # A100
        ([(9, 0), (9, 0)], "bfloat16"),  # H100
        ([(10, 0)], "bfloat16"),
        ([(6, 1)], "float32"),
    ],
)
def test_a_machine_trains_in_what_it_is_fast_in(capabilities, expected):
    assert precision_of(capabilities) == expected


def test_a_run_keeps_what_was_chosen(train, config):
    run = train(config, steps=2, precision="auto").run
    chosen = run.configuration()["precision"]
    assert chosen in ("float32", "bfloat16", "float16")
    resumed = train(config, steps=4, resume=True, precision="auto").run
    assert resumed.configuration()["precision"] == chosen


def test_float16_scales_skips_and_resumes_to_the_bit(train, config, same_end):
    from test_resuming import StopAfter

    config = dataclasses.replace(config, precision="float16")
    whole = train(config, run="whole").run
    rows = [row for row in whole.metrics() if "train_loss" in row]
    # the first scale is too large for some models; what overflows is counted, and the rest is trained on
    assert rows[-1]["skipped_updates"] == math.log2(2.0**15 / rows[-1]["loss_scale"])
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    assert not train(config, run="part", reporter=StopAfter(6)).finished
    same_end(train(config, run="part", resume=True).run, whole, 12)


def test_steps_that_overflow_are_no_divergence():
    """A head so large that the scaled backward pass overflows: the scale comes down until it does not."""
    import numpy as np

    from kgpt.training.preparation import compiled_model

    model = ModelConfig(vocabulary_size=50, context_length=8, num_layers=1, num_heads=2, width=16)
    config = TrainConfig(
        model=model, optimizer=OptimizerConfig(warmup_steps=0), precision="float16", xla="off"
    )
    trained = compiled_model(config)
    trained.run_eagerly = True
    trained.optimizer.loss_scale.assign(2.0**30)
    ids = np.random.default_rng(0).integers(0, 50, (4, 9), dtype="int32")
    before = np.array(trained.weights[0])
    losses = [float(trained.train_on_batch(ids[:, :-1], ids[:, 1:]))]
    np.testing.assert_array_equal(np.array(trained.weights[0]), before)
    losses += [float(trained.train_on_batch(ids[:, :-1], ids[:, 1:])) for _ in range(25)]
    assert int(trained.optimizer.skipped_updates) >= 10
    assert float(trained.optimizer.loss_scale) == 2.0 ** (
        30 - int(trained.optimizer.skipped_updates)
    )
    assert np.isfinite(losses).all() and losses[-1] < losses[0]

"""A batch in parts against the whole batch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from kgpt.config import ModelConfig, OptimizerConfig, TrainConfig

STEPS = 4
CONFIG = TrainConfig(
    model=ModelConfig(
        vocabulary_size=50, context_length=8, num_layers=1, num_heads=2, width=16, tied_head=False
    ),
    optimizer=OptimizerConfig(warmup_steps=2, ema_decay=0.9),
    steps=STEPS,
    batch_size=6,
    xla="off",
)


def trained(config: TrainConfig, loss=None, sample_weight=None, eagerly=True):
    """Losses, gradient norms, weights and averages after a few steps of `fit`."""
    from kgpt.training.preparation import compiled_model

    random = np.random.default_rng(0)
    ids = random.integers(0, 50, (STEPS, 6, 9), dtype="int32")
    model = compiled_model(config)
    if loss:
        model._compile_loss = None
        step = model.__dict__.get("train_step")
        model.compile(optimizer=model.optimizer, loss=loss, jit_compile=False)
        if step:
            object.__setattr__(model, "train_step", step)
    model.run_eagerly = eagerly  # compiling takes longer than a few steps
    losses, norms = [], []
    for batch in ids:
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        losses.append(float(model.train_on_batch(batch[:, :-1], batch[:, 1:], **weights)))
        norms.append(float(model.optimizer.gradient_norm))
    assert int(model.optimizer.iterations) == STEPS
    averages = [np.array(average) for average in model.optimizer.averages]
    return losses, norms, [np.array(weight) for weight in model.weights], averages


def in_parts(parts: int) -> TrainConfig:
    return dataclasses.replace(CONFIG, batch_size=6 // parts, gradient_accumulation=parts)


def assert_same(one, other):
    # AdamW divides by the root of a variance: where it is nearly zero, rounding shows
    for first, second in zip(one[:2], other[:2], strict=True):
        np.testing.assert_allclose(first, second, rtol=2e-5)
    for first, second in zip(one[2:], other[2:], strict=True):
        for a, b in zip(first, second, strict=True):
            np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.parametrize(
    ("name", "parts", "xla"),
    [("muon", 3, "off"), pytest.param("adamw", 2, "on", marks=pytest.mark.long)],
)
def test_parts_give_loss_norm_weights_and_average_of_the_whole_batch(name, parts, xla):
    optimizer = dataclasses.replace(CONFIG.optimizer, name=name)
    config = dataclasses.replace(in_parts(parts), optimizer=optimizer, xla=xla)
    whole = dataclasses.replace(CONFIG, optimizer=optimizer)
    assert_same(trained(config, eagerly=False), trained(whole))


def test_parts_count_by_their_tokens():
    """Rows with 8, 8, 1, 0, 2 and 8 tokens that count, in parts of unequal weight."""
    import keras

    weights = np.zeros((6, 8), "float32")
    for row, count in enumerate((8, 8, 1, 0, 2, 8)):
        weights[row, :count] = 1
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight"
    )
    whole = trained(in_parts(1), loss, weights)
    assert_same(trained(in_parts(3), loss, weights), whole)
    assert not np.allclose(trained(in_parts(3))[0], whole[0])


def test_dropout_draws_anew_for_each_part():
    """With one random state for all parts, two equal parts would give the gradient of one."""
    model = dataclasses.replace(CONFIG.model, dropout=0.5)
    losses = trained(dataclasses.replace(in_parts(6), model=model))[0]
    assert losses != trained(in_parts(6))[0]

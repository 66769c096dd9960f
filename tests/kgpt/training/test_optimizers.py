from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from kgpt.config import OptimizerConfig

BASE = OptimizerConfig(
    learning_rate=0.01, weight_decay=0.1, clip_norm=0.0, warmup_steps=0, final_fraction=1.0
)


def updated(config: OptimizerConfig, steps: int = 3, total_steps: int = 10):
    """Variables by path after some updates with known gradients; and those gradients."""
    import keras

    from kgpt.training.optimizers import GPTOptimizer

    random = np.random.default_rng(0)
    shapes = {
        "block_0/kernel": (4, 6),
        "block_0/tall": (6, 4),
        "block_0/bias": (6,),
        "token_embedding": (5, 4),
    }
    variables, start = [], {}
    for name, shape in shapes.items():
        start[name] = random.normal(size=shape).astype("float32")
        scope, _, last = name.rpartition("/")
        with keras.name_scope("gpt"), keras.name_scope(scope or "top"):
            variables.append(keras.Variable(start[name], name=last))
    optimizer = GPTOptimizer(config, total_steps)
    gradients = [
        {name: random.normal(size=shape).astype("float32") for name, shape in shapes.items()}
        for _ in range(steps)
    ]
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradient.values()], variables)
    return dict(zip(shapes, map(np.array, variables), strict=True)), start, gradients, optimizer


def adamw(value, gradients, config, rates, decays):
    m = v = 0.0
    for step, (g, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        m = config.beta_1 * m + (1 - config.beta_1) * g
        v = config.beta_2 * v + (1 - config.beta_2) * g**2
        direction = (
            m
            / (1 - config.beta_1**step)
            / (np.sqrt(v / (1 - config.beta_2**step)) + config.epsilon)
        )
        value = value - rate * (direction + decays * config.weight_decay * value)
    return value


@pytest.mark.parametrize("name", ["block_0/kernel", "block_0/bias", "token_embedding"])
def test_adamw_equals_the_textbook_and_decays_matrices_only(name):
    after, start, gradients, _ = updated(BASE)
    expected = adamw(
        start[name].astype("float64"),
        [g[name] for g in gradients],
        BASE,
        [0.01] * 3,
        start[name].ndim == 2,
    )
    np.testing.assert_allclose(after[name], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["block_0/kernel", "block_0/tall"])
def test_muon_moves_a_matrix_along_its_orthogonal_factor(name):
    """Against U V^T from a singular value decomposition, which Newton-Schulz approximates."""
    config = dataclasses.replace(BASE, name="muon", weight_decay=0.0, muon_learning_rate=0.1)
    after, start, gradients, _ = updated(config, steps=1)
    step = (start[name] - after[name]) / 0.1
    left, _, right = np.linalg.svd(gradients[0][name].astype("float64"), full_matrices=False)
    scale = math.sqrt(max(1.0, step.shape[1] / step.shape[0]))
    cosine = np.sum(step * (left @ right)) / np.linalg.norm(step) / np.linalg.norm(left @ right)
    assert cosine > 0.97
    singular = np.linalg.svd(step / scale, compute_uv=False)
    assert 0.6 < singular.min() and singular.max() < 1.3


def test_muon_leaves_vectors_and_embeddings_to_adamw():
    after, start, gradients, _ = updated(dataclasses.replace(BASE, name="muon"))
    for name in ("block_0/bias", "token_embedding"):
        expected = adamw(
            start[name].astype("float64"),
            [g[name] for g in gradients],
            BASE,
            [0.01] * 3,
            start[name].ndim == 2,
        )
        np.testing.assert_allclose(after[name], expected, rtol=1e-5, atol=1e-6)


def test_the_norm_is_kept_and_clipped():
    _, _, gradients, optimizer = updated(BASE, steps=1)
    norm = math.sqrt(sum(float(np.sum(g.astype("float64") ** 2)) for g in gradients[0].values()))
    assert float(optimizer.gradient_norm) == pytest.approx(norm, rel=1e-5)
    # Muon's first step does not depend on the gradient's length, AdamW's second does
    plain, _, _, _ = updated(BASE, steps=2)
    clipped, _, _, optimizer = updated(dataclasses.replace(BASE, clip_norm=0.1), steps=2)
    assert not np.allclose(plain["block_0/bias"], clipped["block_0/bias"], rtol=1e-6)
    assert float(optimizer.gradient_norm) > 1


def test_embeddings_can_have_their_own_rate():
    config = dataclasses.replace(BASE, embedding_learning_rate=0.03, weight_decay=0.0)
    after, start, gradients, _ = updated(config)
    for name, rate in (("token_embedding", 0.03), ("block_0/bias", 0.01)):
        expected = adamw(
            start[name].astype("float64"), [g[name] for g in gradients], config, [rate] * 3, 0
        )
        np.testing.assert_allclose(after[name], expected, rtol=1e-5, atol=1e-6)


def test_the_schedule_warms_up_and_falls():
    from kgpt.training.schedules import schedule_factor

    cosine = OptimizerConfig(warmup_steps=10, final_fraction=0.1)
    factors = [schedule_factor(cosine, step, 110) for step in range(111)]
    assert factors[0] == pytest.approx(0.1) and factors[4] == pytest.approx(0.5)
    assert factors[9] == max(factors) == pytest.approx(1.0)
    assert factors[60] == pytest.approx(0.1 + 0.9 * 0.5, rel=1e-6)  # half-way through the cosine
    assert factors[110] == pytest.approx(0.1)
    linear = OptimizerConfig(
        schedule="linear", warmup_steps=0, final_fraction=0.0, decay_fraction=0.5
    )
    assert [schedule_factor(linear, step, 100) for step in (0, 50, 75, 100)] == [1.0, 1.0, 0.5, 0.0]


def test_updates_follow_the_schedule_that_the_log_shows():
    from kgpt.training.schedules import schedule_factor

    config = dataclasses.replace(BASE, final_fraction=0.0, warmup_steps=2, weight_decay=0.0)
    after, start, gradients, _ = updated(config, steps=4, total_steps=5)
    rates = [0.01 * schedule_factor(config, step, 5) for step in range(4)]
    assert len(set(rates)) > 2
    expected = adamw(
        start["block_0/bias"].astype("float64"),
        [g["block_0/bias"] for g in gradients],
        config,
        rates,
        0,
    )
    np.testing.assert_allclose(after["block_0/bias"], expected, rtol=1e-4, atol=1e-6)


def test_a_token_that_repeats_counts_with_the_sum_of_its_gradients():
    """A looked-up table's gradient comes in pieces: the norm and AdamW's variance need them added up."""
    import keras
    import tensorflow as tf

    from kgpt.training.optimizers import GPTOptimizer

    rows = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, -1.0]], "float32")
    pieces = tf.IndexedSlices(tf.constant(rows), tf.constant([2, 0, 2]), tf.constant([4, 2]))
    whole = np.array([[3.0, 4.0], [0, 0], [6.0, 1.0], [0, 0]], "float32")
    optimizers = []
    for gradient in (pieces, tf.constant(whole)):
        optimizer = GPTOptimizer(BASE, 10)
        optimizer.apply(
            [gradient], [keras.Variable(np.ones((4, 2), "float32"), name="token_embedding")]
        )
        optimizers.append(optimizer)
    norms = [float(optimizer.gradient_norm) for optimizer in optimizers]
    assert norms == pytest.approx([math.sqrt(62)] * 2)
    variances = [np.array(optimizer.variance[0]) for optimizer in optimizers]
    np.testing.assert_array_equal(*variances)


def test_the_average_follows_the_weights():
    config = dataclasses.replace(BASE, ema_decay=0.25, weight_decay=0.0)
    after, start, gradients, optimizer = updated(config, steps=4)
    value = average = start["block_0/bias"].astype("float64")
    for step in range(1, 5):
        value = adamw(
            start["block_0/bias"].astype("float64"),
            [g["block_0/bias"] for g in gradients[:step]],
            config,
            [0.01] * step,
            0,
        )
        decay = min(0.25, step / (9 + step))
        average = decay * average + (1 - decay) * value
    index = list(start).index("block_0/bias")
    np.testing.assert_allclose(after["block_0/bias"], value, rtol=1e-5)
    np.testing.assert_allclose(np.array(optimizer.averages[index]), average, rtol=1e-5)
    assert not np.allclose(average, value, rtol=1e-4)


def test_a_stable_phase_does_not_depend_on_the_number_of_steps():
    from kgpt.training.schedules import decay_start, schedule_factor

    config = OptimizerConfig(schedule="wsd", warmup_steps=10, final_fraction=0.0)
    assert decay_start(config, 110) == 90 and decay_start(config, 210) == 170
    factors = [schedule_factor(config, step, 110) for step in range(111)]
    assert factors[4] == 0.5 and set(factors[9:91]) == {1.0}
    assert factors[95] == pytest.approx(1 - math.sqrt(0.25)) and factors[110] == 0.0
    assert factors[:90] == [schedule_factor(config, step, 210) for step in range(90)]
    shorter = dataclasses.replace(config, decay_fraction=0.1)
    assert decay_start(shorter, 110) == 100


@pytest.mark.parametrize("schedule", ["cosine", "linear", "wsd"])
def test_tensors_follow_the_schedule_of_the_log(schedule):
    import keras

    from kgpt.training.schedules import schedule_factor, schedule_factor_tensor

    config = OptimizerConfig(schedule=schedule, warmup_steps=7, decay_fraction=0.3)
    steps = keras.ops.arange(300, dtype="float32")
    tensor = schedule_factor_tensor(config, steps, keras.ops.convert_to_tensor(300.0))
    plain = [schedule_factor(config, step, 300) for step in range(300)]
    np.testing.assert_allclose(np.array(tensor), plain, atol=4e-4)
    assert (np.array(tensor)[7:200] == 1).all()


def test_an_overflow_skips_the_update_and_halves_the_scale():
    import keras

    from kgpt.training.optimizers import INITIAL_LOSS_SCALE, GPTOptimizer

    config = dataclasses.replace(BASE, ema_decay=0.5, clip_norm=1.0)
    variable, plain = (keras.Variable(np.ones((3, 2), "float32")) for _ in range(2))
    optimizer = GPTOptimizer(config, 10, scales_loss=True)
    unscaled = GPTOptimizer(config, 10)
    random = np.random.default_rng(0)
    unscaled.build([plain])
    for step in range(4):
        gradient = random.normal(size=(3, 2)).astype("float32")
        if step == 0:  # as if the backward pass had overflowed
            optimizer.apply([keras.ops.convert_to_tensor(gradient * np.inf)], [variable])
            np.testing.assert_array_equal(np.array(variable), np.ones((3, 2)))
            np.testing.assert_array_equal(np.array(optimizer.averages[0]), np.ones((3, 2)))
            continue
        scale = float(optimizer.scale_loss(keras.ops.convert_to_tensor(1.0)))
        assert scale == INITIAL_LOSS_SCALE / 2
        optimizer.apply([keras.ops.convert_to_tensor(gradient * scale)], [variable])
        unscaled.apply([keras.ops.convert_to_tensor(gradient)], [plain])
    assert int(optimizer.skipped_updates) == 1 and int(optimizer.updates_since_scaling) == 3
    np.testing.assert_allclose(np.array(variable), np.array(plain), rtol=1e-5)


def test_the_scale_grows_after_many_good_updates(monkeypatch):
    import keras

    from kgpt.training import optimizers

    monkeypatch.setattr(optimizers, "LOSS_SCALE_GROWTH_STEPS", 2)
    variable = keras.Variable(np.ones((3, 2), "float32"))
    optimizer = optimizers.GPTOptimizer(BASE, 10, scales_loss=True)
    for _ in range(3):
        optimizer.apply([keras.ops.ones((3, 2))], [variable])
    assert float(optimizer.loss_scale) == 2 * optimizers.INITIAL_LOSS_SCALE
    assert int(optimizer.updates_since_scaling) == 1

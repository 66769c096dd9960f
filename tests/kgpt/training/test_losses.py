"""Training by the chunked loss is training by the plain one; every option of the step changes what it should."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from kgpt.config import ModelConfig, OptimizerConfig, TrainConfig

CONFIG = TrainConfig(
    model=ModelConfig(
        vocabulary_size=50, context_length=16, num_layers=1, num_heads=2, width=16, dropout=0.1
    ),
    optimizer=OptimizerConfig(learning_rate=0.01, warmup_steps=1),
    steps=6,
    batch_size=4,
    precision="float32",
    xla="off",
)


def data(config: TrainConfig, weighted: bool = False):
    """Six batches: ids, targets and, where they are weighted, weights of 0 and 1."""
    random = np.random.default_rng(0)
    ids = random.integers(0, 50, (6 * config.batch_size, config.model.context_length + 1))
    x, y = ids[:, :-1].astype("int32"), ids[:, 1:].astype("int32")
    return (x, y, random.integers(0, 2, y.shape).astype("float32")) if weighted else (x, y, None)


def losses(config: TrainConfig, weighted: bool = False, model=None, chunk: int | None = None):
    """The loss of each of six steps, and the weights after them."""
    import keras

    from kgpt.training.preparation import compiled_model

    model = model or compiled_model(config)
    if chunk is not None:
        model._chunk = chunk
    noted: list[float] = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: noted.append(float(logs["loss"]))
    )
    x, y, weights = data(config, weighted)
    size = config.batch_size
    model.fit(x, y, size, sample_weight=weights, verbose=0, shuffle=False, callbacks=[note])
    return noted, [np.array(weight) for weight in model.weights]


def plain_model(config: TrainConfig):
    """The same model, trained by Keras' own loss on all logits."""
    import keras

    from kgpt.model.gpt import build_gpt
    from kgpt.training.callbacks import LastStepLoss
    from kgpt.training.optimizers import GPTOptimizer

    model = build_gpt(config.model, config.precision, config.seed)
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight"
    )
    model.compile(GPTOptimizer(config.optimizer, config.steps), loss, jit_compile=False)
    object.__setattr__(model, "_loss_tracker", LastStepLoss())
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.parametrize(("weighted", "tied"), [(False, True), (True, False)])
def test_the_chunked_loss_trains_as_the_plain_one(weighted, tied):
    config = dataclasses.replace(
        CONFIG, model=dataclasses.replace(CONFIG.model, tied_head=tied, vocabulary_multiple=32)
    )
    expected = losses(config, weighted, model=plain_model(config))
    for chunk in (0, 10):
        received = losses(config, weighted, chunk=chunk)
        np.testing.assert_allclose(received[0], expected[0], rtol=1e-5)
        for one, other in zip(received[1], expected[1], strict=True):
            np.testing.assert_allclose(one, other, atol=2e-4)


@pytest.mark.parametrize("changes", [{"label_smoothing": 0.1}, {"z_loss": 0.01}])
def test_options_of_the_loss_change_it(changes):
    plain, changed = losses(CONFIG), losses(dataclasses.replace(CONFIG, **changes))
    assert changed[0] != plain[0]
    assert not np.allclose(changed[1][0], plain[1][0])


@pytest.mark.parametrize("xla", ["off", pytest.param("on", marks=pytest.mark.long)])
def test_computing_again_instead_of_keeping_changes_nothing(xla):
    config = dataclasses.replace(CONFIG, xla=xla)
    kept, again = losses(config), losses(dataclasses.replace(config, remat=True))
    assert kept[0] == again[0]
    for one, other in zip(kept[1], again[1], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)


def test_everybody_else_gets_logits():
    from kgpt.model.gpt import build_gpt
    from kgpt.training.preparation import compiled_model

    model = compiled_model(CONFIG)
    ids = data(CONFIG)[0][:4]
    logits = np.array(model(ids))
    np.testing.assert_array_equal(logits, np.array(build_gpt(CONFIG.model, seed=CONFIG.seed)(ids)))
    assert model(ids, training=True).shape == (4, 16, 16)


def test_keras_evaluate_has_the_mean_of_all_tokens():
    from kgpt.training.preparation import compiled_model

    model = compiled_model(CONFIG)
    x, y, weights = (part[:4] for part in data(CONFIG, weighted=True))
    logits = np.array(model(x), "float64")
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    each = -np.take_along_axis(log_p, y[..., None], -1)[..., 0]
    result = model.evaluate(x, y, sample_weight=weights, verbose=0, batch_size=4)
    assert result == pytest.approx((each * weights).sum() / weights.sum(), rel=1e-5)

"""Adapters beside plain NumPy, and what is merged of them beside what they compute."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import GPT2_SHAPE, MODERN_SHAPE

from kgpt.errors import KgptError
from kgpt.finetune_config import LoraConfig
from kgpt.model.gpt import build_gpt
from kgpt.model.lora import add_adapters, has_adapters
from kgpt.model.tensors import is_adapter, merged
from kgpt.model.weights import assign, model_weights, tensors_of

IDS = np.array([[5, 9, 200, 31, 7]])


def adapted(lora, shape=MODERN_SHAPE, trained=True):
    """A model with adapters, B no longer zero."""
    model = build_gpt(shape, seed=2)
    add_adapters(model, lora)
    if trained:
        random = np.random.default_rng(4)
        for weight in model.trainable_weights:
            weight.assign_add(random.normal(size=weight.shape) * 0.3)
    return model


def test_an_adapter_adds_its_product():
    layer = adapted(LoraConfig(rank=3, alpha=6.0)).blocks[0].attention.query
    x = np.random.default_rng(1).normal(size=(2, 4, 32)).astype("float32")
    kernel, down, up = map(np.asarray, (layer.kernel, layer.adapter_down, layer.adapter_up))
    assert (down.shape, up.shape) == ((32, 3), (3, 32))
    np.testing.assert_allclose(layer(x), x @ (kernel + 6.0 / 3 * down @ up), atol=1e-4)


@pytest.mark.parametrize("shape", [GPT2_SHAPE, MODERN_SHAPE], ids=["gpt2", "modern"])
def test_untrained_adapters_change_nothing_and_merged_ones_compute_the_same(shape):
    lora = LoraConfig(rank=2, alpha=8.0)
    plain = np.asarray(build_gpt(shape, seed=2)(IDS))
    np.testing.assert_array_equal(adapted(lora, shape, trained=False)(IDS), plain)
    model = adapted(lora, shape)
    expected = np.asarray(model(IDS))
    assert abs(expected - plain).max() > 1e-3
    whole = build_gpt(shape, seed=9)
    assign(whole.weights, merged(tensors_of(model.weights), lora), "merged")
    np.testing.assert_allclose(whole(IDS), expected, atol=1e-4)


def test_adapters_alone_train_and_are_all_that_is_saved():
    model = adapted(LoraConfig(rank=2))
    paths = [weight.path for weight in model_weights(model)]
    assert all(map(is_adapter, paths)) and has_adapters(model)
    assert paths == [weight.path for weight in model.trainable_weights]
    assert len(paths) == 2 * 2 * 7  # A and B, in two blocks, of seven matrices
    assert not has_adapters(build_gpt(MODERN_SHAPE))


@pytest.mark.parametrize(
    ("targets", "shape", "count"),
    [(("query",), MODERN_SHAPE, 1), (("up", "down", "gate"), MODERN_SHAPE, 3)]
    + [(("query", "value", "gate"), GPT2_SHAPE, 2)],
)
def test_targets_choose_the_matrices(targets, shape, count):
    model = adapted(LoraConfig(rank=2, targets=targets), shape)
    layers = {weight.path.split("/")[-2] for weight in model.trainable_weights}
    assert layers == set(targets) - ({"gate"} if shape is GPT2_SHAPE else set())
    assert len(model.trainable_weights) == 2 * count * shape.num_layers


def test_dropout_acts_on_the_adapters_input_in_training_alone():
    plain, model = (adapted(LoraConfig(rank=2, dropout=rate)) for rate in (0.0, 0.5))
    for one, other in zip(model.weights, plain.weights, strict=True):
        one.assign(other)
    np.testing.assert_array_equal(plain(IDS), model(IDS))
    np.testing.assert_allclose(plain(IDS, training=True), plain(IDS), atol=1e-5)
    assert abs(np.asarray(model(IDS, training=True)) - np.asarray(model(IDS))).max() > 1e-3


def test_a_rank_above_that_of_the_matrices_and_targets_that_are_not_there_are_refused():
    with pytest.raises(KgptError, match="rank 16. Received: --lora-rank 17"):
        adapted(LoraConfig(rank=17))  # two key heads of eight
    adapted(LoraConfig(rank=17, targets=("up",)))
    with pytest.raises(KgptError, match="none of gate"):
        adapted(LoraConfig(rank=2, targets=("gate",)), GPT2_SHAPE)
    for values, named in (
        ({"rank": -1}, "lora.rank"),
        ({"rank": 2, "alpha": 0.0}, "lora.alpha"),
        ({"rank": 2, "dropout": 1.0}, "lora.dropout"),
        ({"rank": 2, "targets": ("queries",)}, "lora.targets"),
    ):
        with pytest.raises(KgptError, match=named):
            LoraConfig(**values)

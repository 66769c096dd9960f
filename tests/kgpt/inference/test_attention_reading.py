"""What a model looks at, rolled out and ablated, against formulas written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy_gpt import forward, weights_of_layer
from tiny import GPT2_SHAPE, MODERN_SHAPE

SHAPES = {"gpt2": GPT2_SHAPE, "modern": MODERN_SHAPE}
IDS = [72, 101, 108, 32, 111, 7, 250]


@pytest.fixture(scope="module", params=SHAPES)
def model(request):
    from kgpt.model.gpt import build_gpt

    built = build_gpt(SHAPES[request.param], seed=3)
    random = np.random.default_rng(5)
    for weight in built.weights:  # fresh ones look everywhere alike
        weight.assign(np.asarray(weight) + random.normal(0, 0.15, weight.shape))
    return built


@pytest.fixture(scope="module")
def weights(model):
    from kgpt.model.weights import tensors_of

    return tensors_of(model.weights)


def each_layer(model, weights):
    ids = np.array([IDS])
    return [
        weights_of_layer(weights, model.config, ids, layer)[0]
        for layer in range(model.config.num_layers)
    ]


def test_one_head_and_the_means(model, weights):
    from kgpt.inference.attention_reading import attention_matrix

    layers = each_layer(model, weights)
    last = len(layers) - 1
    for layer, head, expected in (
        (last, 2, layers[last][2]),
        (0, None, layers[0].mean(0)),
        (None, 1, np.mean([layer[1] for layer in layers], 0)),
        (None, None, np.mean(layers, axis=(0, 1))),
    ):
        found = attention_matrix(model, IDS, "weights", layer, head)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


def test_rollout_is_the_product_of_the_layers_with_their_residuals(model, weights):
    from kgpt.inference.attention_reading import attention_matrix

    size, layers = len(IDS), each_layer(model, weights)
    for head in (None, 3):
        expected = np.eye(size)
        for weights_HTS in layers:
            own = weights_HTS.mean(0) if head is None else weights_HTS[head]
            mixed = own + np.eye(size)
            expected = mixed / mixed.sum(-1, keepdims=True) @ expected
        found = attention_matrix(model, IDS, "rollout", None, head)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert np.allclose(np.triu(found, 1), 0) and np.allclose(found.sum(-1), 1)
    first = attention_matrix(model, IDS, "rollout", 0)
    np.testing.assert_allclose(first, (layers[0].mean(0) + np.eye(size)) / 2, atol=1e-5)


def test_words_are_sums_of_their_tokens():
    from kgpt.inference.attention_reading import by_word

    row = np.array([0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(by_word(row, [(0, 1), (1, 3), (3, 4)]), [0.1, 0.5, 0.4])


def chances(model, weights, ids):
    logits = forward(weights, model.config, np.array([ids]))[0, -1]
    odds = np.exp(logits - logits.max())
    return odds / odds.sum()


def test_an_ablation_asks_again_without_each_word(model, weights):
    from kgpt.inference.ablation import ablate

    words = [(0, 1), (1, 4), (4, 7)]
    found = ablate(model, IDS, words, end_of_text=256, token=99)
    assert found.token == 99
    np.testing.assert_allclose(found.probability, chances(model, weights, IDS)[99], rtol=1e-3)
    for (first, end), probability in zip(words, found.without, strict=True):
        expected = chances(model, weights, IDS[:first] + IDS[end:])[99]
        np.testing.assert_allclose(probability, expected, rtol=1e-3)
    assert len(set(found.without)) == 3


def test_the_most_probable_token_and_a_text_of_one_word(model, weights):
    from kgpt.inference.ablation import ablate

    found = ablate(model, IDS, [(0, len(IDS))], end_of_text=256)
    assert found.token == chances(model, weights, IDS).argmax()
    np.testing.assert_allclose(
        found.without[0], chances(model, weights, [256])[found.token], rtol=1e-3
    )


def test_long_texts_take_several_passes_and_can_be_stopped(model, weights, monkeypatch):
    from kgpt.inference import ablation

    words = [(place, place + 1) for place in range(len(IDS))]
    whole = ablation.ablate(model, IDS, words, 256, 5)
    monkeypatch.setattr(ablation, "TOKENS_AT_ONCE", 2 * len(IDS))
    np.testing.assert_allclose(
        ablation.ablate(model, IDS, words, 256, 5).without, whole.without, rtol=1e-5
    )
    answers = iter([True, True, False])
    assert ablation.ablate(model, IDS, words, 256, 5, lambda: next(answers)) is None

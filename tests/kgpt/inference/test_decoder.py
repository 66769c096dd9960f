from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tiny import GPT2_SHAPE, MODERN_SHAPE

from kgpt.errors import KgptError
from kgpt.inference.decoder import KerasDecoder
from kgpt.model.gpt import build_gpt


def uncached(model, rows):
    """Scores after each row, without a cache; what follows a row (zeros) has no influence on it."""
    longest = max(map(len, rows))
    padded = np.array([[*row, *[0] * (longest - len(row))] for row in rows], dtype="int32")
    ends = [len(row) - 1 for row in rows]
    return np.asarray(model(padded))[np.arange(len(rows)), ends]


def random_rows(lengths, seed=0):
    numbers = np.random.default_rng(seed)
    return [numbers.integers(0, 257, length).tolist() for length in lengths]


PARTS = {
    "gpt2": GPT2_SHAPE,
    "modern": MODERN_SHAPE,
    "relu2": dataclasses.replace(GPT2_SHAPE, activation="relu2", bias=False),
    "one key head": dataclasses.replace(GPT2_SHAPE, num_kv_heads=1, qk_norm=True),
    "swiglu": dataclasses.replace(GPT2_SHAPE, activation="swiglu", norm="rms"),
    "untied": dataclasses.replace(GPT2_SHAPE, tied_head=False, positions="rotary"),
    "padded vocabulary": dataclasses.replace(MODERN_SHAPE, vocabulary_multiple=64),
}


@pytest.fixture(scope="module", params=[*PARTS, "bfloat16"])
def case(request):
    """A model and the difference from its uncached self that its precision explains."""
    config = PARTS.get(request.param, GPT2_SHAPE)
    precision = "bfloat16" if request.param == "bfloat16" else "float32"
    model = build_gpt(config, precision, seed=2)
    for variable in model.trainable_variables:  # scores that differ clearly between tokens
        variable.assign(variable * 3 if len(variable.shape) > 1 else variable)
    return model, 0.15 if precision == "bfloat16" else 1e-4


def test_cached_scores_are_the_uncached_ones(case):
    model, tolerance = case
    rows = random_rows((17, 1, 9))
    decoder = KerasDecoder(model)
    assert np.ptp(uncached(model, rows)) > 1
    np.testing.assert_allclose(decoder.prefill(rows), uncached(model, rows), atol=tolerance)
    for step in range(3):
        tokens = random_rows((1, 1, 1), seed=step)
        rows = [row + token for row, token in zip(rows, tokens, strict=True)]
        scores = decoder.step([token[0] for token in tokens])
        np.testing.assert_allclose(scores, uncached(model, rows), atol=tolerance)


def test_every_place_of_the_context_can_be_used():
    model = build_gpt(MODERN_SHAPE, seed=3)
    decoder, (row,) = KerasDecoder(model), random_rows((36,))
    scores = decoder.prefill([row])  # padded to the context, which leaves its places free
    while len(row) < MODERN_SHAPE.context_length:
        row.append(int(scores[0].argmax()))
        scores = decoder.step(row[-1:])
        np.testing.assert_allclose(scores, uncached(model, [row]), atol=1e-4)
    with pytest.raises(KgptError, match="40 of 40 places"):
        decoder.step([1])


@pytest.mark.parametrize("length", [1, 16, 17])
def test_prompts_of_any_length(length):
    model = build_gpt(MODERN_SHAPE, seed=3)
    rows = random_rows((length,))
    np.testing.assert_allclose(KerasDecoder(model).prefill(rows), uncached(model, rows), atol=1e-4)


def test_a_small_cache_gives_the_same_scores():
    model = build_gpt(GPT2_SHAPE, seed=3)
    rows = random_rows((5, 3))
    large = KerasDecoder(model)
    small = large.fresh()
    np.testing.assert_allclose(large.prefill(rows), small.prefill(rows, size=8), atol=1e-5)
    np.testing.assert_allclose(large.step([1, 2]), small.step([1, 2]), atol=1e-5)
    assert (large.size, small.size) == (128, 8)


def test_fresh_decoders_do_not_disturb_each_other():
    model = build_gpt(GPT2_SHAPE, seed=3)
    first = KerasDecoder(model)
    second = first.fresh()
    a, b = random_rows((5, 7))
    first.prefill([a])
    second.prefill([b])
    np.testing.assert_allclose(first.step([9]), uncached(model, [[*a, 9]]), atol=1e-4)
    np.testing.assert_allclose(second.step([8]), uncached(model, [[*b, 8]]), atol=1e-4)


def test_new_weights_count_at_once():
    model = build_gpt(GPT2_SHAPE, seed=3)
    decoder = KerasDecoder(model)
    before = decoder.prefill([[1, 2, 3]])
    model.token_embedding.embeddings.assign(model.token_embedding.embeddings * 2)
    after = decoder.prefill([[1, 2, 3]])
    assert not np.allclose(before, after)
    np.testing.assert_allclose(after, uncached(model, [[1, 2, 3]]), atol=1e-4)


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        ([[1] * 41], ["40", "41"]),
        ([[1], []], ["40", "0 tokens"]),
        ([[256], [257]], ["0 to 256", "257"]),
        ([[-1]], ["0 to 256", "-1"]),
    ],
)
def test_prompts_that_cannot_be_read_are_refused(prompts, words):
    decoder = KerasDecoder(build_gpt(MODERN_SHAPE, seed=3))
    with pytest.raises(KgptError) as error:
        decoder.prefill(prompts)
    assert all(word in error.value.message for word in words)


def test_a_step_without_a_prefill_is_refused():
    with pytest.raises(KgptError, match="Prefill first"):
        KerasDecoder(build_gpt(MODERN_SHAPE, seed=3)).step([1])

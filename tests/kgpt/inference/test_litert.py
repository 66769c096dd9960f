"""The LiteRT decoder gives the Keras decoder's scores, whatever the parts, the lengths and the rows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from test_decoder import PARTS, random_rows, uncached
from tiny import GPT2_SHAPE, MODERN_SHAPE

from kgpt.errors import KgptError
from kgpt.inference.folding import folded
from kgpt.inference.litert import LiteRTDecoder
from kgpt.inference.litert_model import LiteRTModel
from kgpt.inference.litert_shapes import shapes_for

LONG = dataclasses.replace(MODERN_SHAPE, context_length=700, num_layers=1)
CASES = {**PARTS, "long context": LONG}


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    """A model with clear differences, every weight of it used, and its decoder."""
    from kgpt.inference.litert_convert import convert
    from kgpt.model.gpt import build_gpt
    from kgpt.model.weights import model_weights, tensors_of

    config = CASES[request.param]
    model, numbers = build_gpt(config, seed=2), np.random.default_rng(5)
    for variable in model.trainable_variables:
        noise = numbers.normal(0, 0.1, variable.shape).astype("float32")
        variable.assign(variable * 3 if len(variable.shape) > 1 else variable + noise)
    weights = folded(tensors_of(model_weights(model)), config)
    file = tmp_path_factory.mktemp("litert") / "float32.tflite"
    file.write_bytes(convert(weights, config, shapes_for(config.context_length)))

    def rows_of(tokens):
        return weights.token_embedding[list(tokens)]

    return model, LiteRTModel(file, rows_of, weights.position_embedding, config)


def test_scores_of_uneven_rows(case):
    model, litert = case
    rows = random_rows((17, 1, 9))
    decoder = LiteRTDecoder(litert)
    np.testing.assert_allclose(decoder.prefill(rows), uncached(model, rows), atol=1e-4)
    for step in range(3):
        tokens = random_rows((1, 1, 1), seed=step)
        rows = [row + token for row, token in zip(rows, tokens, strict=True)]
        scores = decoder.step([token[0] for token in tokens])
        np.testing.assert_allclose(scores, uncached(model, rows), atol=1e-4)
    assert decoder.length == 20


def test_every_place_of_the_context_and_more_rows_than_a_graph_has(case):
    model, litert = case
    context = litert.config.context_length
    lengths = [context - 3, *[max(1, context - 3 - 20 * row) for row in range(1, 10)]]
    rows, decoder = random_rows(lengths), LiteRTDecoder(litert)
    np.testing.assert_allclose(decoder.prefill(rows), uncached(model, rows), atol=2e-4)
    for _ in range(3):
        rows = [[*row, 7] for row in rows]
        scores = decoder.step([7] * len(rows))
    np.testing.assert_allclose(scores, uncached(model, rows), atol=2e-4)
    with pytest.raises(KgptError, match=f"{context} of {context} places"):
        decoder.step([1] * len(rows))


def test_a_cache_grows_with_the_text(case):
    model, litert = case
    if litert.config.context_length < 300:
        pytest.skip("one size")
    decoder, (row,) = LiteRTDecoder(litert), random_rows((126,))
    decoder.prefill([row])
    for token in range(135):  # past 128 and past 256 places
        scores = decoder.step([token])
        row.append(token)
    np.testing.assert_allclose(scores, uncached(model, [row]), atol=2e-4)


def test_rows_are_chosen_and_branches_part(case):
    model, litert = case
    rows, decoder = random_rows((5, 12)), LiteRTDecoder(litert)
    decoder.prefill(rows)
    branch = decoder.branch()
    branch.select([1, 1, 0])
    chosen = [[*rows[1], 3], [*rows[1], 4], [*rows[0], 5]]
    np.testing.assert_allclose(branch.step([3, 4, 5]), uncached(model, chosen), atol=1e-4)
    others = [[*rows[0], 8], [*rows[1], 9]]
    np.testing.assert_allclose(decoder.step([8, 9]), uncached(model, others), atol=1e-4)
    assert decoder.fresh().length == 0


def test_what_cannot_be_read_is_refused(case):
    _, litert = case
    decoder = LiteRTDecoder(litert)
    for prompts in ([[]], [[0] * (litert.config.context_length + 1)], [[257]], [[-1]]):
        with pytest.raises(KgptError):
            decoder.prefill(prompts)
    with pytest.raises(KgptError, match="0 of"):
        decoder.step([1])


def test_sizes_cover_every_context():
    for context in (1, 31, 32, 33, 128, 129, 512, 513, 1024, 3000):
        shapes = shapes_for(context)
        assert shapes.sizes[-1] == context and shapes.prompts[-1] == min(context, 512)
        assert list(shapes.sizes) == sorted(set(shapes.sizes))
        assert list(shapes.prompts) == sorted(set(shapes.prompts))
        assert bool(shapes.extension) == (context > 512)
    assert GPT2_SHAPE.context_length in shapes_for(GPT2_SHAPE.context_length).sizes

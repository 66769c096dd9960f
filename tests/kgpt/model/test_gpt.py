from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy_gpt import forward, weights_of_layer
from tiny import MODERN_SHAPE

from kgpt.config import ModelConfig
from kgpt.presets import preset

GPT2_SHAPE = ModelConfig(vocabulary_size=50, context_length=16, num_layers=2, num_heads=4, width=32)
MODERN = dataclasses.replace(MODERN_SHAPE, vocabulary_size=50, context_length=16)
SHAPES = {
    "gpt2": GPT2_SHAPE,
    "gpt2 without bias": dataclasses.replace(GPT2_SHAPE, bias=False),
    "modern, grouped": MODERN,
    "modern, one group": dataclasses.replace(MODERN, num_kv_heads=1, tied_head=True),
    "squared ReLU": dataclasses.replace(GPT2_SHAPE, activation="relu2"),
    "padded vocabulary": dataclasses.replace(GPT2_SHAPE, vocabulary_multiple=64),
    "padded vocabulary, untied": dataclasses.replace(MODERN, vocabulary_multiple=64),
}


def ids_of(config: ModelConfig, rows: int = 3) -> np.ndarray:
    random = np.random.default_rng(0)
    shape = (rows, config.context_length)
    return random.integers(0, config.vocabulary_size, shape).astype("int32")


def built(config: ModelConfig, precision: str = "float32", seed: int = 1):
    """A model whose every weight, biases and scales too, differs from its initial value."""
    from kgpt.model.gpt import build_gpt

    model = build_gpt(config, precision, seed)
    random = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(np.array(weight) + random.normal(0, 0.1, weight.shape))
    return model


@pytest.mark.parametrize("name", SHAPES)
def test_logits_equal_an_independent_implementation(name):
    from kgpt.model.weights import tensors_of

    config = SHAPES[name]
    model, ids = built(config), ids_of(config)
    expected = forward(tensors_of(model.weights), config, ids)
    assert np.abs(expected).max() > 1  # or the comparison would say nothing
    np.testing.assert_allclose(np.array(model(ids)), expected, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["gpt2", "modern, grouped"])
def test_attention_weights_equal_an_independent_implementation(name):
    from kgpt.model.weights import tensors_of

    config = SHAPES[name]
    model, ids = built(config), ids_of(config)
    for layer in range(config.num_layers):
        expected = weights_of_layer(tensors_of(model.weights), config, ids, layer)
        found = np.array(model.attention_weights(ids, layer))
        assert found.shape == expected.shape and expected[..., -1, :].std() > 0.01
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("gpt2-124m", 124_439_808),
        ("gpt2-355m", 354_823_168),
        ("gpt2-774m", 774_030_080),
        ("gpt2-1558m", 1_557_611_200),
    ],
)
def test_gpt2_presets_have_gpt2s_size(name, parameters):
    from kgpt.model.size import parameter_count

    assert parameter_count(preset(name).model) == parameters


@pytest.mark.parametrize("name", SHAPES)
def test_the_parameter_count_is_what_the_model_has(name):
    from kgpt.model.gpt import build_gpt
    from kgpt.model.size import parameter_count

    assert parameter_count(SHAPES[name]) == build_gpt(SHAPES[name]).count_params()


@pytest.mark.parametrize("name", SHAPES)
def test_a_saved_model_gives_the_same_logits(name, tmp_path):
    import keras

    model, ids = built(SHAPES[name]), ids_of(SHAPES[name])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.array(again(ids)), np.array(model(ids)))
    assert again.config == model.config


def test_weights_make_a_round_trip(tmp_path):
    from kgpt.model.tensors import load_tensors, save_tensors
    from kgpt.model.weights import assign, tensors_of

    model, ids = built(MODERN), ids_of(MODERN)
    save_tensors(tmp_path / "w.safetensors", tensors_of(model.weights), {})
    other = built(MODERN, seed=2)
    assert not np.allclose(np.array(other(ids)), np.array(model(ids)))
    assign(other.weights, load_tensors(tmp_path / "w.safetensors"), "w")
    np.testing.assert_array_equal(np.array(other(ids)), np.array(model(ids)))


def test_weights_of_another_shape_change_nothing(tmp_path):
    from kgpt.errors import KgptError
    from kgpt.model.weights import assign, tensors_of

    wider = built(dataclasses.replace(MODERN, vocabulary_size=51))
    model = built(MODERN)
    before = tensors_of(model.weights)
    with pytest.raises(KgptError, match=r"shape \(51, 32\), expected \(50, 32\)"):
        assign(model.weights, tensors_of(wider.weights), "w")
    for path, value in tensors_of(model.weights).items():
        np.testing.assert_array_equal(value, before[path])


def test_matrices_that_write_into_the_residual_start_smaller():
    from kgpt.model.gpt import build_gpt

    config = dataclasses.replace(GPT2_SHAPE, width=128, num_layers=8)
    model = build_gpt(config, seed=1)
    spread = {weight.path: float(np.std(np.array(weight))) for weight in model.weights}
    assert spread["gpt/block_0/attention/query/kernel"] == pytest.approx(0.02, rel=0.05)
    assert spread["gpt/block_0/attention/output/kernel"] == pytest.approx(0.02 / 4, rel=0.05)
    assert spread["gpt/block_7/feed_forward/down/kernel"] == pytest.approx(0.02 / 4, rel=0.05)
    assert spread["gpt/block_0/feed_forward/up/bias"] == 0


def test_a_fresh_model_is_unsure_and_a_zero_output_one_knows_nothing_at_all():
    from kgpt.model.gpt import build_gpt

    ids = ids_of(GPT2_SHAPE)
    assert 0 < np.abs(np.array(build_gpt(GPT2_SHAPE, seed=1)(ids))).max() < 1
    silent = dataclasses.replace(MODERN, initialization="zero-output")
    assert np.abs(np.array(build_gpt(silent, seed=1)(ids))).max() == 0


def test_bfloat16_keeps_float32_weights_and_logits():
    exact, rough = built(GPT2_SHAPE), built(GPT2_SHAPE, "bfloat16")
    ids = ids_of(GPT2_SHAPE)
    assert {weight.dtype for weight in rough.weights} == {"float32"}
    logits = rough(ids)
    assert np.array(logits).dtype == np.float32
    difference = np.abs(np.array(logits) - np.array(exact(ids))).max()
    assert 0 < difference < 0.5


def test_dropout_acts_in_training_only():
    config = dataclasses.replace(GPT2_SHAPE, dropout=0.5)
    model, ids = built(config), ids_of(config)
    still = np.array(model(ids))
    np.testing.assert_array_equal(still, np.array(model(ids, training=False)))
    assert not np.allclose(still, np.array(model(ids, training=True)))


def test_a_padded_vocabulary_has_rows_that_stand_for_no_token():
    model = built(SHAPES["padded vocabulary"])
    assert model.token_embedding.embeddings.shape == (64, 32)
    assert model(ids_of(GPT2_SHAPE)).shape[-1] == 50


def test_dropout_draws_anew_in_each_step_and_the_same_again_from_the_same_state():
    config = dataclasses.replace(MODERN, dropout=0.5)
    model, ids = built(config), ids_of(config)
    (state,) = [
        variable for variable in model.variables if variable.path.endswith("seed_generator_state")
    ]
    before = np.array(state)
    first, second = (np.array(model(ids, training=True)) for _ in range(2))
    assert not np.allclose(first, second)
    state.assign(before)
    np.testing.assert_array_equal(first, np.array(model(ids, training=True)))


def test_a_token_sees_only_what_came_before_it():
    model, ids = built(MODERN), ids_of(MODERN)
    changed = ids.copy()
    changed[:, 9:] = (changed[:, 9:] + 1) % MODERN.vocabulary_size
    before, after = np.array(model(ids)), np.array(model(changed))
    np.testing.assert_array_equal(before[:, :9], after[:, :9])
    assert not np.allclose(before[:, 9:], after[:, 9:])


@pytest.mark.parametrize("name", ["gpt2", "modern, grouped"])
def test_texts_that_share_a_row_are_read_as_if_each_were_alone(name):
    from kgpt.training.losses import TrainedGPT

    config = SHAPES[name]
    model, alone = TrainedGPT(config), built(config)
    model.build((None, config.context_length))
    for weight, value in zip(model.weights, alone.weights, strict=False):
        weight.assign(np.array(value))
    ids, cut = ids_of(config), 5
    time = config.context_length
    positions = np.concatenate([np.arange(cut), np.arange(time - cut)])[None].repeat(len(ids), 0)
    together = np.array(model((ids, positions.astype("int32"))))
    apart = [np.array(alone(part)) for part in (ids[:, :cut], ids[:, cut:])]
    np.testing.assert_allclose(together, np.concatenate(apart, axis=1), atol=2e-5)
    assert np.abs(together - np.array(alone(ids))).max() > 0.1

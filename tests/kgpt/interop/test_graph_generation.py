"""The writing loop against the plain model, and its sampling against kgpt's own."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tiny import GPT2_SHAPE, MODERN_SHAPE

from kgpt.config import ModelConfig
from kgpt.inference.sampling import distribution
from kgpt.protocol import GenerateOptions

END = 256


@pytest.mark.parametrize("shape", [GPT2_SHAPE, MODERN_SHAPE], ids=["gpt2", "modern"])
def test_greedy_rows_are_what_the_model_without_a_cache_writes(shape: ModelConfig) -> None:
    import tensorflow as tf

    from kgpt.interop.graph_generation import generate
    from kgpt.interop.graph_sampling import Controls
    from kgpt.model.gpt import build_gpt

    model, random = build_gpt(dataclasses.replace(shape, context_length=24)), np.random
    for variable in model.weights:
        variable.assign(random.default_rng(1).normal(0, 0.5, variable.shape))
    prompts, limits = [[5, 9, 200], [], list(range(60)), [7]], [6, 8, 5, 2]
    ids_BT = tf.ragged.constant(prompts, dtype=tf.int32).to_tensor()
    controls = Controls(
        tf.constant(limits), *(tf.fill([4], v) for v in (0.0, 0, 1.0, tf.constant(0, tf.int64)))
    )
    lengths = [len(prompt) for prompt in prompts]
    ids_BN, count_B = tf.function(
        lambda: generate(model, ids_BT, tf.constant(lengths), controls, END), autograph=False
    )()
    for prompt, limit, ids, count in zip(prompts, limits, ids_BN, count_B, strict=True):
        row = (prompt or [END])[-(24 + 1 - limit) :]
        written: list[int] = []
        while len(written) < limit and END not in written:
            logits_V = model(np.array([[*row, *written]], dtype="int32"))[0, -1]
            written.append(int(np.argmax(logits_V)))
        assert ids[:count].numpy().tolist() == [token for token in written if token != END]


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 1.0},
        {"temperature": 0.3},
        {"temperature": 1e-30},
        {"temperature": 2.0, "top_k": 3},
        {"temperature": 1.0, "top_k": 100},
        {"temperature": 1.0, "top_p": 0.7},
        {"temperature": 1.5, "top_k": 8, "top_p": 0.6},
        {"temperature": 0.0},
    ],
)
def test_tokens_are_drawn_as_often_as_by_kgpt(options: dict[str, float]) -> None:
    import tensorflow as tf

    from kgpt.interop.graph_sampling import CONTROL_TYPES, next_token

    logits_V = np.random.default_rng(0).normal(0, 2, 20).astype("float32")
    count = 20_000
    values = {"max_new_tokens": 1, "seed": 0, "top_k": 0, "top_p": 1.0, **options}
    controls = CONTROL_TYPES._replace(
        **{
            name: tf.fill([count], tf.constant(values[name], dtype))
            for name, dtype in CONTROL_TYPES._asdict().items()
        }
    )
    evenly_B = tf.constant((np.arange(count) + 0.5) / count, tf.float32)
    tokens_B = next_token(tf.tile(logits_V[None], [count, 1]), evenly_B, controls).numpy()
    expected_V = distribution(logits_V, GenerateOptions(**options), seen=())
    shares_V = np.bincount(tokens_B, minlength=20) / count
    np.testing.assert_allclose(shares_V, expected_V, atol=2 / count)
    assert not shares_V[expected_V == 0].any()


def test_equal_seeds_draw_equal_numbers_and_others_do_not() -> None:
    import tensorflow as tf

    from kgpt.interop.graph_sampling import uniform_numbers

    first, second, third = uniform_numbers(tf.constant([3, 2**40, 3], tf.int64), 50).numpy()
    assert (first == third).all()
    assert (first != second).any()
    assert 0.3 < np.mean([first, second]) < 0.7

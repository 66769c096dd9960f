"""A classifier's scores and loss beside plain NumPy on the vectors that its GPT gives."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tiny import GPT2_SHAPE, MODERN_SHAPE

from kgpt.finetune_config import ClassifyConfig
from kgpt.model.classifier import NO_TOKEN, build_classifier

LABELS = ("a", "b", "c")
ROWS = [[5, 9, 200], [7], [1, 2, 3, 4, 5]]


def classifier(shape=GPT2_SHAPE, label_smoothing=0.0, **settings):
    model = build_classifier(
        shape,
        ClassifyConfig(labels=LABELS, **settings),
        seed=3,
        label_smoothing=label_smoothing,
    )
    random = np.random.default_rng(3)
    model.head.bias.assign(random.normal(size=3))
    for weight in model.gpt.weights:  # an untrained output is nearly the same for all
        weight.assign_add(random.normal(size=weight.shape) * 0.1)
    return model


def matrix(rows, width=8):
    ids = np.full((len(rows), width), NO_TOKEN, "int32")
    for row, found in zip(ids, rows, strict=True):
        row[: len(found)] = found
    return ids


@pytest.mark.parametrize("shape", [GPT2_SHAPE, MODERN_SHAPE], ids=["gpt2", "modern"])
@pytest.mark.parametrize("pooling", ["last", "mean", "sum", "max"])
def test_the_head_reads_what_pooling_makes_of_the_tokens_whatever_is_behind_the_text(
    shape, pooling
):
    model = classifier(shape, pooling=pooling)
    kernel, bias = np.asarray(model.head.kernel), np.asarray(model.head.bias)
    expected = []
    for row in ROWS:
        vectors = np.asarray(model.gpt.hidden_states(np.array([row])))[0]
        vector = {
            "last": vectors[-1],
            "mean": vectors.mean(axis=0),
            "sum": vectors.sum(axis=0) / np.sqrt(len(row)),
            "max": vectors.max(axis=0),
        }[pooling]
        expected.append(vector @ kernel + bias)
    for width in (5, 8):
        np.testing.assert_allclose(model(matrix(ROWS, width)), expected, atol=2e-5)


def test_the_poolings_differ():
    kinds = ("last", "mean", "sum", "max")
    scores = [np.asarray(classifier(pooling=kind)(matrix(ROWS))) for kind in kinds]
    for one, other in itertools.combinations(scores, 2):
        assert abs(one[0] - other[0]).max() > 1e-3
        np.testing.assert_allclose(one[1], other[1], atol=1e-5)  # one token is all of these


@pytest.mark.parametrize("pooling", ["last", "mean", "sum", "max"])
def test_a_row_of_filling_does_not_disturb_the_others(pooling):
    model = classifier(pooling=pooling)
    ids, labels = matrix([*ROWS, []]), np.array([0, 1, 2, 0])
    weights = np.array([1.0, 1.0, 1.0, 0.0], "float32")
    found = model.compute_loss(y=labels, y_pred=model(ids), sample_weight=weights)
    alone = model.compute_loss(y=labels[:3], y_pred=model(ids[:3]))
    assert float(found) == pytest.approx(float(alone), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_weighted_mean_cross_entropy(smoothing):
    model = classifier(label_smoothing=smoothing)
    random = np.random.default_rng(1)
    scores = random.normal(size=(4, 3)).astype("float32")
    labels, weights = np.array([0, 2, 1, 0]), np.array([1.0, 3.0, 0.5, 0.0], "float32")
    log_chances = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    target = np.eye(3)[labels] * (1 - smoothing) + smoothing / 3
    losses = -(target * log_chances).sum(axis=1)
    found = model.compute_loss(y=labels, y_pred=scores, sample_weight=weights)
    assert float(found) == pytest.approx((losses * weights).sum() / weights.sum(), rel=1e-5)
    assert float(model.compute_loss(y=labels, y_pred=scores)) == pytest.approx(losses.mean())
    measured = model.compute_loss(y=labels, y_pred=scores, training=False)
    assert float(measured) == pytest.approx(-log_chances[range(4), labels].mean(), rel=1e-5)


def test_dropout_before_the_head_acts_in_training_alone():
    plain, model = classifier(), classifier(head_dropout=0.5)
    for one, other in zip(model.weights, plain.weights, strict=True):
        one.assign(other)
    ids = matrix(ROWS)
    np.testing.assert_array_equal(model(ids), plain(ids))
    np.testing.assert_array_equal(plain(ids, training=True), plain(ids))
    assert abs(np.asarray(model(ids, training=True)) - np.asarray(model(ids))).max() > 1e-3


def test_a_keras_file_keeps_the_scores(tmp_path):
    import keras

    model = classifier(MODERN_SHAPE, pooling="mean")
    model.save(tmp_path / "classifier.keras")
    other = keras.saving.load_model(tmp_path / "classifier.keras")
    np.testing.assert_allclose(other(matrix(ROWS)), model(matrix(ROWS)), atol=1e-6)

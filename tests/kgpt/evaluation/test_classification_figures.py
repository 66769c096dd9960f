from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgpt.evaluation.classification import figures

LABELS = ("a", "b", "c")


def test_figures_of_a_case_worked_out_by_hand():
    probabilities = [
        [0.8, 0.1, 0.1],  # a, right
        [0.3, 0.6, 0.1],  # a, taken for b
        [0.1, 0.7, 0.2],  # b, right
        [0.2, 0.5, 0.3],  # c, taken for b
    ]
    found = figures(probabilities, [0, 0, 1, 2], LABELS)
    assert found.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    values = found.to_dict()
    assert values["accuracy"] == 0.5
    assert values["by_label"]["a"] == pytest.approx(
        {"precision": 1, "recall": 0.5, "f1": 2 / 3, "examples": 2}
    )
    assert values["by_label"]["b"] == pytest.approx(
        {"precision": 1 / 3, "recall": 1, "f1": 0.5, "examples": 1}
    )
    assert values["by_label"]["c"] == {"precision": 0, "recall": 0, "f1": 0, "examples": 1}
    assert values["macro_f1"] == pytest.approx((2 / 3 + 0.5) / 3)
    assert values["loss"] == pytest.approx(-np.log([0.8, 0.3, 0.7, 0.3]).mean())
    # every confidence lies in a bin of its own: the error is the mean distance from 1 or 0
    assert values["calibration_error"] == pytest.approx((0.2 + 0.6 + 0.3 + 0.5) / 4)


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_figures_follow_their_definitions(seed, count):
    random = np.random.default_rng(seed)
    chances, right = random.dirichlet([0.4] * 3, count), random.integers(0, 3, count)
    given_labels = chances.argmax(1)
    found = figures(chances, right, LABELS).to_dict()
    assert found["accuracy"] == pytest.approx((given_labels == right).mean())
    for place, label in enumerate(LABELS):
        hits = ((given_labels == place) & (right == place)).sum()
        taken, there = (given_labels == place).sum(), (right == place).sum()
        values = found["by_label"][label]
        assert values["precision"] == pytest.approx(hits / taken if taken else 0)
        assert values["recall"] == pytest.approx(hits / there if there else 0)
        assert values["f1"] == pytest.approx(2 * hits / (taken + there) if taken + there else 0)
    error, confidence = 0.0, chances.max(1)
    for low in np.arange(10) / 10:
        inside = (confidence > low) & (confidence <= low + 0.1)
        if inside.any():
            gap = abs(confidence[inside].mean() - (given_labels == right)[inside].mean())
            error += inside.mean() * gap
    assert found["calibration_error"] == pytest.approx(error)

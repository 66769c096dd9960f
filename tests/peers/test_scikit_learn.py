"""Figures of classifiers beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest

from kgpt.evaluation.classification import figures

metrics = pytest.importorskip("sklearn.metrics")
pytestmark = pytest.mark.peer
LABELS = ("a", "b", "c", "d")


@pytest.mark.parametrize("seed", range(20))
def test_figures_are_those_of_scikit_learn(seed):
    random = np.random.default_rng(seed)
    count = int(random.integers(5, 200))
    chances = random.dirichlet([0.5] * 4, count)
    right = random.choice(4, count, p=[0.5, 0.3, 0.15, 0.05])
    given = chances.argmax(axis=1)
    found = figures(chances, right, LABELS).to_dict()
    numbers = list(range(4))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(right, given))
    assert found["confusion"] == metrics.confusion_matrix(right, given, labels=numbers).tolist()
    assert found["loss"] == pytest.approx(metrics.log_loss(right, chances, labels=numbers))
    of_labels = metrics.precision_recall_fscore_support(
        right, given, labels=numbers, zero_division=0
    )
    for label, *values in zip(LABELS, *of_labels, strict=True):
        mine = found["by_label"][label]
        keys = ("precision", "recall", "f1", "examples")
        assert [mine[key] for key in keys] == pytest.approx(values)
    macro = metrics.f1_score(right, given, labels=numbers, average="macro", zero_division=0)
    assert found["macro_f1"] == pytest.approx(macro)

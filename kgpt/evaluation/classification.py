"""Figures of a classifier: accuracy, precision, recall and F1 by label, confusions, calibration.

In: probabilities and the right labels. Out: `Figures`; plain NumPy, float64.

Axes: N examples, L labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
BINS = 10
"""Of equal width, for the calibration error."""


@dataclass(frozen=True)
class Figures:
    """How well probabilities agree with the right labels."""

    labels: tuple[str, ...]
    confusion: npt.NDArray[np.int64]
    """(L, L): how many examples of a label (row) were given a label (column)."""
    loss: float
    """Mean cross-entropy, in nats an example."""
    calibration_error: float
    """Expected calibration error (Naeini et al., 2015): how far confidence and accuracy are apart, over `BINS` bins of
    the confidence, weighted by examples."""

    @property
    def accuracy(self) -> float:
        """Share of examples that were given their label."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def precision(self) -> Floats:
        """Of those that were given each label, the share that has it (L,); 0 for a label that none was given."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def recall(self) -> Floats:
        """Of those that have each label, the share that was given it (L,)."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=1))

    @property
    def f1(self) -> Floats:
        """Harmonic mean of precision and recall (L,)."""
        both = self.confusion.sum(axis=0) + self.confusion.sum(axis=1)
        return _ratio(2 * np.diag(self.confusion), both)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        by_label = zip(self.labels, self.precision, self.recall, self.f1, strict=True)
        return {
            "examples": int(self.confusion.sum()),
            "accuracy": self.accuracy,
            "macro_f1": float(self.f1.mean()),
            "loss": self.loss,
            "calibration_error": self.calibration_error,
            "by_label": {
                label: {
                    "precision": float(precision),
                    "recall": float(recall),
                    "f1": float(f1),
                    "examples": int(count),
                }
                for (label, precision, recall, f1), count in zip(
                    by_label, self.confusion.sum(axis=1), strict=True
                )
            },
            "confusion": self.confusion.tolist(),
            "labels": list(self.labels),
        }


def figures(
    probabilities_NL: npt.ArrayLike, label_N: npt.ArrayLike, labels: Sequence[str]
) -> Figures:
    """The figures of probabilities (N, L) where `label_N` holds the right columns."""
    probabilities = np.asarray(probabilities_NL, "float64")
    right = np.asarray(label_N, "int64")
    given = probabilities.argmax(axis=1)
    confusion = np.zeros((len(labels), len(labels)), "int64")
    np.add.at(confusion, (right, given), 1)
    of_right = probabilities[np.arange(len(right)), right]
    loss = float(-np.log(np.maximum(of_right, 1e-30)).mean())
    error = calibration_error(probabilities.max(axis=1), given == right)
    return Figures(tuple(labels), confusion, loss, error)


def calibration_error(confidence_N: Floats, is_right_N: npt.NDArray[np.bool_]) -> float:
    """Expected calibration error of the probabilities of the labels that were given."""
    place_N = np.clip(np.ceil(confidence_N * BINS).astype("int64") - 1, 0, BINS - 1)
    gaps = [
        abs(float((confidence_N[place_N == place] - is_right_N[place_N == place]).sum()))
        for place in range(BINS)
    ]
    return sum(gaps) / len(confidence_N)


def _ratio(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> Floats:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)

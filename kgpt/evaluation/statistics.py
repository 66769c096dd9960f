"""Figures with standard errors, and whether two of them differ by more than chance.

In: what each item of a test (a question, a stretch of text) contributes. Out: values, standard errors, paired
differences. NumPy alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NOISE = 1.96
"""Standard errors within which 95 % of differences fall that are chance alone."""


@dataclass(frozen=True, eq=False)
class Figure:
    """A ratio of sums over items: an accuracy (right answers over questions), bits per byte (bits over bytes).

    With strata, such as the subsets of a test, it is the mean of theirs, each counting the same.
    """

    amounts: NDArray[np.float64]
    """What each item has of the numerator."""
    sizes: NDArray[np.float64]
    """What each item has of the denominator."""
    strata: NDArray[np.int64]
    """The stratum of each item, from 0 on."""
    higher_is_better: bool = True

    @classmethod
    def of(
        cls, amounts: Any, sizes: Any = None, strata: Any = None, *, higher_is_better: bool = True
    ) -> Figure:
        """A figure of array-likes; without `sizes` a mean, without `strata` of one stratum."""
        amounts = np.asarray(amounts, "float64")
        sizes = np.ones_like(amounts) if sizes is None else np.asarray(sizes, "float64")
        strata = np.zeros(len(amounts), "int64") if strata is None else np.asarray(strata, "int64")
        return cls(amounts, sizes, strata, higher_is_better)

    @property
    def value(self) -> float:
        """The figure."""
        amounts, sizes = self._by_stratum(self.amounts), self._by_stratum(self.sizes)
        return float(np.mean(amounts / sizes))

    @property
    def standard_error(self) -> float | None:
        """How far chance alone, in the choice of the items, moves it; None where a stratum has one item only.

        For a mean this is the sample's standard deviation over sqrt(n); for a ratio its linearisation (Cochran, 1977,
        Sampling Techniques, section 6.3); for strata the root of the sum of their squares over their number.
        """
        return _error(self._influences(), self.strata)

    def minus(self, other: Figure) -> tuple[float, float | None]:
        """The difference to the figure of another model on the same items, and its standard error, paired by item.

        Raises:
            ValueError: the items are not the same ones.
        """
        if len(self.strata) != len(other.strata) or (self.strata != other.strata).any():
            raise ValueError("figures of different items")
        error = _error(self._influences() - other._influences(), self.strata)
        return self.value - other.value, error

    def _influences(self) -> NDArray[np.float64]:
        """What each item adds to the deviation of its stratum's ratio."""
        amounts, sizes = self._by_stratum(self.amounts), self._by_stratum(self.sizes)
        ratio = (amounts / sizes)[self.strata]
        deviations: NDArray[np.float64] = (self.amounts - ratio * self.sizes) / sizes[self.strata]
        return deviations

    def _by_stratum(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(self.strata, values).astype("float64")


def _error(influences: NDArray[np.float64], strata: NDArray[np.int64]) -> float | None:
    counts = np.bincount(strata)
    if counts.min(initial=0 if not len(counts) else counts.max()) < 2:
        return None
    squares = np.bincount(strata, influences**2) * counts / (counts - 1)
    return float(math.sqrt(squares.sum()) / len(counts))


def is_noise(difference: float, standard_error: float | None) -> bool | None:
    """Whether chance alone would explain a difference, in 95 of 100 cases; None where that is not known."""
    return None if standard_error is None else abs(difference) <= NOISE * standard_error

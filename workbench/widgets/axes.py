"""Ticks for the loss chart: short numbers along x, true values on a logarithmic y."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

from textual_plot import NumericAxisFormatter

from kgpt.language import number
from workbench import wording


class ShortFormatter(NumericAxisFormatter):
    """`500`, `1.5k`, `20M`."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """A label for each tick."""
        return [wording.short(tick) if tick else "0" for tick in ticks]


class LogFormatter(NumericAxisFormatter):
    """For a y that is log10 of the value: ticks at round values, labelled with them."""

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        """Positions (in log10) of 1, 2, 5, 10 ..., or of evenly spaced values where those are too few."""
        low, high = 10**min_, 10**max_
        decades = range(int(min_) - 2, int(max_) + 2)
        round_values = [m * 10.0**decade for decade in decades for m in (1, 2, 5)]
        values = [value for value in round_values if low <= value <= high]
        if len(values) < 3:
            values = [v for v in super().get_ticks(low, high, max_ticks) if v > 0]
        return [log10(value) for value in values]

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """The value at each tick."""
        return [number(10**tick, ".4g") for tick in ticks]

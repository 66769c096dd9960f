"""What a list shows of a `metrics.jsonl`: the latest values, the best evaluation, a thin curve.

In: a file that grows. Out: a `MetricsDigest` of bounded size, one chunk further with each `refresh()`. Knows neither
Textual nor numpy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.tail import JsonTail, is_number


class Thinned:
    """A series of unknown length kept as at most `2 * size` means of equal stretches."""

    def __init__(self, size: int = 64) -> None:
        self.size = size
        self.means: list[float] = []
        self._stretch = 1
        self._sum, self._count = 0.0, 0

    def add(self, value: float) -> None:
        """Take in the next value."""
        self._sum, self._count = self._sum + value, self._count + 1
        if self._count == self._stretch:
            self.means.append(self._sum / self._count)
            self._sum, self._count = 0.0, 0
        if len(self.means) == 2 * self.size:
            pairs = zip(self.means[::2], self.means[1::2], strict=True)
            self.means = [(left + right) / 2 for left, right in pairs]
            self._stretch *= 2

    def values(self) -> tuple[float, ...]:
        """The means, with that of the unfinished stretch."""
        return (*self.means, *([self._sum / self._count] if self._count else ()))


NUMBERS = (
    "step",
    "tokens",
    "seconds",
    "train_loss",
    "validation_loss",
    "bits_per_byte",
    "learning_rate",
    "gradient_norm",
    "tokens_per_second",
)
"""Keys of `metrics.jsonl` whose latest value a summary shows."""


class MetricsDigest:
    """The latest values, the best evaluation and a thinned curve of one `metrics.jsonl`."""

    def __init__(self, path: Path) -> None:
        self._tail = JsonTail(path)
        self._clear()

    def _clear(self) -> None:
        self.latest: dict[str, Any] = {}
        self.best: tuple[float, int | None] | None = None
        self._begun: tuple[float, float] | None = None
        self.curve = Thinned()
        self.rows = 0
        self.is_complete = False

    def refresh(self) -> None:
        """Read one chunk on."""
        found = self._tail.read()
        if found.restarted:
            self._clear()
        for row in found.rows:
            self._take(row)
        self.is_complete = not found.more

    def _take(self, row: dict[str, Any]) -> None:
        self.rows += 1
        for name in NUMBERS:
            value = row.get(name)
            if is_number(value):
                self.latest[name] = value
        if self._begun is None and {"step", "seconds"} <= self.latest.keys():
            self._begun = self.latest["step"], self.latest["seconds"]
        loss, validation = row.get("train_loss"), row.get("validation_loss")
        if is_number(loss):
            self.curve.add(loss)
        if is_number(validation) and (self.best is None or validation < self.best[0]):
            self.best = (validation, row.get("step"))

    @property
    def pace(self) -> float | None:
        """Seconds a step since the first row; before that lies the time that compiling took."""
        if self._begun is None or self.latest["step"] <= self._begun[0]:
            return None
        step, seconds = self._begun
        return float((self.latest["seconds"] - seconds) / (self.latest["step"] - step))

    @property
    def interval(self) -> float:
        """Usual seconds between two rows."""
        seconds = self.latest.get("seconds", 0.0)
        return float(seconds) / self.rows if self.rows else 0.0

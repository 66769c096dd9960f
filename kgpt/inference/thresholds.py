"""From which probability on a label is given. In: probabilities by label. Out: a label, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kgpt.errors import KgptError
from kgpt.language import _


@dataclass(frozen=True)
class Thresholds:
    """From which probability on a label is given."""

    every: float = 0.0
    """Of any label."""
    of: Mapping[str, float] = field(default_factory=dict)
    """Of some labels: such a label is given as soon as it reaches its own, the one that exceeds it most first, and
    never below it."""

    def choose(self, probabilities: Mapping[str, float]) -> str | None:
        """The label that is given, if any."""
        reached = {
            label: probabilities[label] - threshold
            for label, threshold in self.of.items()
            if probabilities[label] >= threshold
        }
        if reached:
            return max(reached, key=lambda label: reached[label])
        others = [label for label in probabilities if label not in self.of]
        best = max(others, key=lambda label: probabilities[label], default=None)
        return best if best is not None and probabilities[best] >= self.every else None

    def check(self, labels: Sequence[str]) -> None:
        """Refuse a threshold of a label that there is not.

        Raises:
            KgptError: there is one.
        """
        unknown = sorted(set(self.of) - set(labels))
        if unknown:
            raise KgptError(
                _("Unknown label"),
                _(
                    "There is no label {unknown!r}. There is {labels}.",
                    unknown=unknown[0],
                    labels=", ".join(labels),
                ),
                _("Give --threshold LABEL=X for one of these, or --threshold X for all."),
            )

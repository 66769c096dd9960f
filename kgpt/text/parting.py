"""Training, validation and test parts of labelled texts: each label in the same shares, copies never on two sides.

In: examples, shares, a seed. Out: `Parts`, whose examples are those that came in, each in one part. The parts depend on
nothing but the arguments.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.text.labelled import Example

Share = tuple[float, float, float]
NAMES = ("train", "validation", "test")
Item = TypeVar("Item")


@dataclass(frozen=True)
class Parts:
    """Examples by what they are for."""

    train: list[Example]
    validation: list[Example]
    test: list[Example]
    set_aside: int = 0
    """Examples of the more frequent labels that balancing has left out."""
    leaks: int = 0
    """Examples of the test part whose text, but for case and white space, is in the training part too."""

    def __iter__(self) -> Iterator[tuple[str, list[Example]]]:
        yield from ((name, getattr(self, name)) for name in NAMES)


def parted(
    examples: Sequence[Example],
    shares: Share,
    seed: int,
    *,
    balance: bool = False,
    keep_together: bool = True,
) -> Parts:
    """The three parts, each label in its shares as nearly as whole numbers allow.

    Args:
        examples: of at least two labels.
        shares: of training, validation and test, which add up to 1.
        seed: of who comes into which part, and of the order in it.
        balance: leave out examples, chosen at random, until all labels have as many.
        keep_together: put texts that differ by case and white space alone into one part.

    Raises:
        KgptError: a label has too few examples to be in each part.
    """
    random = np.random.default_rng([seed, 0])
    by_label: dict[str, list[Example]] = {}
    for example in examples:
        by_label.setdefault(example.label, []).append(example)
    fewest = min(map(len, by_label.values()))
    parts: list[list[Example]] = [[], [], []]
    taken = 0
    for label in sorted(by_label):
        shuffled = [by_label[label][index] for index in random.permutation(len(by_label[label]))]
        chosen = shuffled[:fewest] if balance else shuffled
        taken += len(chosen)
        for part, some in zip(parts, _cut_label(chosen, label, shares, keep_together), strict=True):
            part += some
    for part in parts:
        part[:] = [part[index] for index in random.permutation(len(part))]
    trained = {folded(example.text) for example in parts[0]}
    leaks = sum(folded(example.text) in trained for example in parts[2])
    train, validation, test = parts
    return Parts(train, validation, test, set_aside=len(examples) - taken, leaks=leaks)


def folded(text: str) -> str:
    """A text without regard to case and white space."""
    return " ".join(text.casefold().split())


def counts(examples: Sequence[Example]) -> dict[str, int]:
    """How many examples each label has, by label."""
    return dict(sorted(Counter(example.label for example in examples).items()))


def cut(items: Sequence[Item], keys: Sequence[str], shares: Share) -> list[list[Item]]:
    """Items in three lists of the wanted shares, as nearly as whole numbers allow; those of equal keys stay together.

    A list may be empty where there are few items.
    """
    groups: dict[str, list[Item]] = {}
    for item, key in zip(items, keys, strict=True):
        groups.setdefault(key, []).append(item)
    total = len(items)
    ends = [
        math.floor(total * shares[0] + 0.5),
        math.floor(total * (shares[0] + shares[1]) + 0.5),
        total,
    ]
    parts: list[list[Item]] = [[], [], []]
    done = 0
    for group in groups.values():
        place = next(index for index in range(3) if done < ends[index])
        parts[place] += group
        done += len(group)
    return parts


def _cut_label(
    examples: Sequence[Example], label: str, shares: Share, keep_together: bool
) -> list[list[Example]]:
    keys = [
        folded(example.text) if keep_together else str(index)
        for index, example in enumerate(examples)
    ]
    parts = cut(examples, keys, shares)
    needed = [index for index, share in enumerate(shares) if share > 0]
    if any(not parts[index] for index in needed):
        raise KgptError(
            _("Too few examples"),
            _(
                "The label {label!r} has {count}; each of the {count_2} parts needs one at least.",
                label=label,
                count=len(examples),
                count_2=len(needed),
            ),
            _(
                "Give more of them. If it is the heading of a column, name the fields: --text-field, "
                "--label-field."
            ),
        )
    return parts

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgpt.errors import KgptError
from kgpt.text.labelled import Example
from kgpt.text.parting import NAMES, counts, folded, parted

SHARES = (0.7, 0.1, 0.2)
HAM = [Example(f"message {n}", "ham") for n in range(90)]
SPAM = [Example(f"offer {n}", "spam") for n in range(30)]


@given(
    st.integers(0, 2**32),
    st.integers(10, 60),
    st.integers(10, 60),
    st.sampled_from([SHARES, (0.5, 0.25, 0.25), (0.8, 0.1, 0.1), (0.9, 0.1, 0.0)]),
)
def test_each_example_is_in_one_part_and_each_label_in_its_shares(seed, ham, spam, shares):
    examples = HAM[:ham] + SPAM[:spam] + [Example(f"more {n}", "spam") for n in range(30, spam)]
    parts = parted(examples, shares, seed)
    found = [example for _, part in parts for example in part]
    assert Counter(found) == Counter(examples)
    for label, total in counts(examples).items():
        for share, (_, part) in zip(shares, parts, strict=True):
            assert abs(counts(part).get(label, 0) - share * total) <= 1


def test_the_parts_follow_the_seed():
    one, same, other = (parted(HAM + SPAM, SHARES, seed) for seed in (1, 1, 2))
    assert one == same
    assert set(one.test) != set(other.test)
    assert [example.label for example in one.train] != sorted(
        example.label for example in one.train
    )


def test_balancing_leaves_as_many_of_each_label():
    parts = parted(HAM + SPAM, SHARES, 1, balance=True)
    total = sum((Counter(counts(part)) for _, part in parts), Counter())
    assert total == {"ham": 30, "spam": 30}
    assert parts.set_aside == 60
    assert parted(HAM + SPAM, SHARES, 1).set_aside == 0


def test_texts_that_differ_by_case_and_spaces_are_on_one_side():
    examples = [
        Example(text, example.label)
        for example in HAM + SPAM
        for text in (example.text, f" {example.text.upper()}  ")
    ]
    parts = parted(examples, SHARES, 3)
    sides = [{folded(example.text) for example in part} for _, part in parts]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert parts.leaks == 0
    apart = parted(examples, SHARES, 3, keep_together=False)
    trained = {folded(example.text) for example in apart.train}
    assert apart.leaks == sum(folded(example.text) in trained for example in apart.test) > 0


def test_a_label_too_rare_for_every_part_is_named():
    with pytest.raises(KgptError, match="'rare' has 2; each of the 3 parts needs one"):
        parted([*HAM, Example("a", "rare"), Example("b", "rare")], SHARES, 1)
    parts = parted([*HAM, Example("a", "rare"), Example("b", "rare")], (0.5, 0.5, 0.0), 1)
    assert [len(part) for _, part in parts] == [46, 46, 0]
    assert tuple(name for name, _ in parts) == NAMES

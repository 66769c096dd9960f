from __future__ import annotations

from collections.abc import Callable

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from kgpt.errors import KgptError
from kgpt.text import split
from kgpt.text.split import hold_out_by_threshold, hold_out_random, hold_out_tail, random_share

DOCUMENTS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 1000)), min_size=2, max_size=60
).filter(lambda found: len({key for key, size in found if size}) > 1)
"""Key (few, so that many are equal) and size; size 0 is a document that is left out."""


def tables(documents: list[tuple[int, int]]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    spread = np.array([key for key, _ in documents], np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return spread, np.array([size for _, size in documents], np.uint64)


def copies(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    seen: set[int] = set()
    flags = []
    for key in keys.tolist():
        flags.append(key in seen)
        seen.add(key)
    return np.array(flags)


@pytest.mark.parametrize("how", ["random", "tail"])
@given(documents=DOCUMENTS, fraction=st.floats(0.01, 0.9), seed=st.integers(0, 5))
def test_both_sides_have_documents_and_share_none(
    how: str, documents: list[tuple[int, int]], fraction: float, seed: int
) -> None:
    keys, sizes = tables(documents)
    held_out = np.zeros(len(keys), bool)
    if how == "random":
        hold_out_random(keys, sizes, held_out, fraction, seed)
    else:
        hold_out_tail(keys, sizes, copies(keys), held_out, fraction)
    is_kept = sizes > 0
    validation, train = set(keys[held_out & is_kept]), set(keys[~held_out & is_kept])
    assert validation and train and not validation & train
    assert not (held_out & ~is_kept).any()
    by_key = {key: sizes[keys == key].sum() for key in validation}
    within = sizes[held_out].sum() <= fraction * sizes.sum()
    assert within or len(by_key) == 1, "more than the share only where one document is more"


@given(documents=DOCUMENTS, data=st.data())
def test_a_random_side_does_not_depend_on_the_order(
    documents: list[tuple[int, int]], data: st.DataObject
) -> None:
    keys, sizes = tables(documents)
    order = np.array(data.draw(st.permutations(range(len(keys)))))
    held_out, shuffled = np.zeros(len(keys), bool), np.zeros(len(keys), bool)
    hold_out_random(keys, sizes, held_out, 0.3, 1)
    hold_out_random(keys[order], sizes[order], shuffled, 0.3, 1)
    assert shuffled.tolist() == held_out[order].tolist()


def test_by_threshold_a_side_depends_on_nothing_but_the_document() -> None:
    keys = np.random.default_rng(0).integers(0, 2**64, 20_000, np.uint64)
    sizes = np.ones(len(keys), np.uint64)
    whole, part = np.zeros(len(keys), bool), np.zeros(500, bool)
    hold_out_by_threshold(keys, sizes, whole, 0.1, 7)
    hold_out_by_threshold(keys[3000:3500], sizes[:500], part, 0.1, 7)
    assert part.tolist() == whole[3000:3500].tolist()
    assert 0.09 < whole.mean() < 0.11


def test_the_seed_draws_anew_and_the_shares_are_even() -> None:
    keys = np.arange(50_000, dtype=np.uint64)
    first, second = random_share(keys, 1), random_share(keys, 2)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02
    counts, _ = np.histogram(first, bins=10, range=(0, 1))
    assert counts.min() > 4700 and counts.max() < 5300


def test_the_tail_is_the_end_whatever_the_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(3)
    keys = generator.integers(0, 2**64, 1000, np.uint64)
    sizes = generator.integers(1, 50, 1000).astype(np.uint64)
    target = 0.1 * sizes.sum()
    start = 1000 - int((np.cumsum(sizes[::-1]) <= target).sum())
    for length in (1 << 20, 64, 7, 1):
        monkeypatch.setattr(split, "_SLICE", length)
        held_out = np.zeros(1000, bool)
        hold_out_tail(keys, sizes, np.zeros(1000, bool), held_out, 0.1)
        assert np.flatnonzero(held_out).tolist() == list(range(start, 1000))


@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize(
    "hold_out",
    [
        lambda keys, sizes, held_out: hold_out_random(keys, sizes, held_out, 0.5, 1),
        lambda keys, sizes, held_out: hold_out_tail(keys, sizes, copies(keys), held_out, 0.5),
    ],
)
def test_too_little_to_split(count: int, hold_out: Callable[..., None]) -> None:
    keys, sizes = np.full(count, 5, np.uint64), np.ones(count, np.uint64)
    with pytest.raises(KgptError, match="none can be held out"):
        hold_out(keys, sizes, np.zeros(count, bool))

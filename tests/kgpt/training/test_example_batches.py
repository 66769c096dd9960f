from __future__ import annotations

import itertools

import numpy as np
import pytest

from kgpt.training.example_batches import ExampleBatches

FILLING = -1


def batches(count=45, seed=1, **changes):
    random = np.random.default_rng(0)
    # each row begins with its number, so that batches can be traced
    rows = [
        [number, *range(int(length))] for number, length in enumerate(random.integers(0, 40, count))
    ]
    values = {
        "rows": rows,
        "labels": np.arange(count, dtype="int32") % 3,
        "weights": (np.arange(count) + 1).astype("float32"),
        "batch_size": 4,
        "longest": 41,
        "seed": seed,
        "filling": FILLING,
    }
    return ExampleBatches(**{**values, **changes})


def test_an_epoch_sees_each_example_once_with_its_label_and_weight():
    found = batches()
    assert found.steps_per_epoch == 12
    for epoch in (0, 1):
        seen = []
        for step in range(epoch * 12, epoch * 12 + 12):
            ids, labels, weights = found.at(step)
            assert ids.shape[0] == len(labels) == len(weights) == 4
            assert ids.shape[1] % 8 == 0 or ids.shape[1] == 41
            for row, label, weight in zip(ids, labels, weights, strict=True):
                number = int(row[0])
                if number == FILLING:
                    assert weight == 0
                    continue
                seen.append(number)
                assert (label, weight) == (number % 3, number + 1)
                assert row[row != FILLING].tolist() == found.rows[number]
        assert sorted(seen) == list(range(45))


def test_dropped_tokens_are_others_each_time_and_never_the_first():
    whole, thin = batches(), batches(token_dropout=0.3)
    kept = all_of = 0
    differs = False
    for step in range(12):
        ids, labels, weights = thin.at(step)
        np.testing.assert_array_equal(labels, whole.at(step)[1])
        np.testing.assert_array_equal(weights, whole.at(step)[2])
        assert ids.shape[1] == max(8, -(-int((ids != FILLING).sum(1).max()) // 8) * 8)
        for row in ids:
            tokens = row[row != FILLING].tolist()
            if tokens:
                before = whole.rows[tokens[0]]
                order = iter(before[1:])
                assert all(token in order for token in tokens[1:])  # some of them, in their order
                kept, all_of = kept + len(tokens) - 1, all_of + len(before) - 1
                differs |= len(tokens) < len(before)
    assert differs and kept / all_of == pytest.approx(0.7, abs=0.06)
    first = {int(row[0]): row.tolist() for step in range(12) for row in thin.at(step)[0]}
    later = {int(row[0]): row.tolist() for step in range(12, 24) for row in thin.at(step)[0]}
    assert first != later


@pytest.mark.parametrize("dropped", [0.0, 0.3])
def test_a_batch_depends_on_seed_and_step_alone(dropped):
    found, again = batches(token_dropout=dropped), batches(token_dropout=dropped)
    for step in (30, 0, 13):
        for one, other in zip(found.at(step), again.at(step), strict=True):
            np.testing.assert_array_equal(one, other)
    from_step = itertools.islice(found.from_step(10), 4)
    for step, batch in enumerate(from_step, 10):
        np.testing.assert_array_equal(batch[0], found.at(step)[0])
    orders = [
        [int(batches(seed=seed).at(step)[0][0, 0]) for step in range(start, start + 12)]
        for seed, start in ((1, 0), (1, 12), (2, 0))
    ]
    assert orders[0] != orders[1] and orders[0] != orders[2]


def test_parts_of_a_batch_make_the_batch():
    found = batches()
    whole = next(found.from_step(3))
    parts = [next(found.from_step(3, part, 2)) for part in range(2)]
    for place, array in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([part[place] for part in parts]), array)


def test_tokens_are_counted_without_filling():
    found = batches()
    expected = 0
    for step in range(15):
        assert found.tokens_until(step) == expected
        expected += int((found.at(step)[0] != FILLING).sum())


def test_texts_of_like_length_share_a_batch():
    found = batches(count=64)
    filled = sum(found.at(step)[0].size for step in range(16))
    alone = sum(map(len, found.rows))
    assert filled < 1.35 * alone
    assert filled == pytest.approx(alone, rel=0.35)

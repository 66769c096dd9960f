"""Batches of conversations: every one once an epoch, in rows that hold as many as fit."""

from __future__ import annotations

import numpy as np
import pytest
from conversing import CONVERSATIONS

from kgpt.model.vocabulary import with_tokens
from kgpt.text.answer_rows import answer_rows
from kgpt.text.conversations import Conversation, Turn
from kgpt.text.templates import CHAT, conversation_ids
from kgpt.text.tokenizer import Tokenizer
from kgpt.training.answer_batches import AnswerBatches

TOKENIZER = with_tokens(Tokenizer.bytes(), CHAT.special_tokens)
END = TOKENIZER.end_of_text


def batches_of(packs: bool, size: int = 3, longest: int = 40, seed: int = 1) -> AnswerBatches:
    rows = answer_rows(CONVERSATIONS, CHAT, TOKENIZER, longest).rows
    return AnswerBatches(rows, size, longest, seed, END, packs)


def texts_in(batch):
    """Each conversation of a batch: its ids, its targets, and the weights of these."""
    (ids, positions), targets, weights = batch
    found = []
    for row in range(len(ids)):
        starts = [*np.flatnonzero(positions[row] == 0), ids.shape[1]]
        for start, end in zip(starts, starts[1:], strict=False):
            if end - start > 1:
                part = np.s_[row, start:end]
                assert positions[part].tolist() == list(range(end - start))
                found.append((ids[part].tolist(), targets[part].tolist(), weights[part].tolist()))
    return found


@pytest.mark.parametrize("packs", [True, False])
def test_an_epoch_holds_every_conversation_once_with_its_answers_weighted(packs):
    batches = batches_of(packs)
    seen = []
    for step in range(batches.batches_per_epoch):
        seen += texts_in(batches.at(step))
    expected = []
    for conversation in CONVERSATIONS:
        ids, is_answer = conversation_ids(CHAT, conversation.turns, TOKENIZER)
        expected.append((ids[:-1], ids[1:], [float(answer) for answer in is_answer[1:]]))
    if packs:
        assert sorted(seen) == sorted(expected)
    else:  # a row's filling lies behind its conversation, and counts nothing
        cut = [
            tuple(part[: len(one[0])] for part in found) for found, one in _pairs(seen, expected)
        ]
        assert sorted(map(list, cut)) == sorted(map(list, expected))
        assert all(not any(found[2][len(one[0]) :]) for found, one in _pairs(seen, expected))


def _pairs(seen, expected):
    by_start = {tuple(ids[:8]): (ids, *rest) for ids, *rest in expected}
    return [(found, by_start[tuple(found[0][:8])]) for found in seen]


def test_packed_rows_are_few_and_of_one_shape():
    packed, apart = batches_of(True), batches_of(False)
    assert len(packed.members) < len(apart.members) / 1.5
    assert {packed.at(step)[1].shape for step in range(6)} == {(3, 40)}
    assert packed.arrays[1].shape == (3, 40) and apart.arrays[1].shape == (3, None)
    lengths = {apart.at(step)[1].shape[1] for step in range(apart.batches_per_epoch)}
    assert lengths <= {8, 16, 24, 32, 40} and len(lengths) > 1


def test_a_batch_follows_from_seed_and_step():
    one, same, other = batches_of(True), batches_of(True), batches_of(True, seed=2)
    following = one.from_step(5)
    for step in (5, 6, 7):
        for left, right in zip(next(following)[0], same.at(step)[0], strict=True):
            np.testing.assert_array_equal(left, right)
    assert any(not np.array_equal(one.at(step)[1], other.at(step)[1]) for step in range(4))
    halves = [next(one.from_step(2, part, 3))[1] for part in range(3)]
    np.testing.assert_array_equal(np.concatenate(halves), one.at(2)[1])


def test_tokens_are_counted_without_filling():
    batches = batches_of(True)
    whole = sum(len(row.inputs) for row in batches.rows)
    assert batches.tokens_until(batches.batches_per_epoch) == whole
    real = sum(len(ids) for ids, _, _ in texts_in(batches.at(0)))
    assert batches.tokens_until(1) == real
    assert batches.tokens_until(batches.batches_per_epoch + 1) > whole


def test_what_is_longer_than_a_row_loses_its_end_or_is_left_out():
    short = Conversation((Turn("user", "a"), Turn("assistant", "b")))
    long_answer = Conversation((Turn("user", "a"), Turn("assistant", "b" * 50)))
    long_question = Conversation((Turn("user", "a" * 50), Turn("assistant", "b")))
    found = answer_rows([short, long_answer, long_question], CHAT, TOKENIZER, 20)
    assert found.kept == [short, long_answer]
    assert (found.cut, found.dropped) == (1, 1)
    assert [len(row.inputs) for row in found.rows] == [7, 20]
    assert found.lengths == [7, 56, 56]
    assert found.rows[1].targets[-1] == ord("b")  # and no end is learned where there is none
    assert found.learned == 3 + 16


def test_what_the_user_says_counts_where_that_is_asked_for():
    all_of_it = answer_rows(CONVERSATIONS, CHAT, TOKENIZER, 40, learns_all=True)
    answers = answer_rows(CONVERSATIONS, CHAT, TOKENIZER, 40)
    assert all_of_it.learned == sum(len(row.inputs) for row in all_of_it.rows)
    assert answers.learned == sum(
        3 * len(one.turns) // 2 + len(one.turns) // 2 for one in CONVERSATIONS
    )

"""Texts that share rows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kgpt.text.packing import packed


@given(st.lists(st.integers(1, 120), max_size=60), st.integers(1, 100))
def test_each_text_is_in_one_row_and_no_row_is_too_long(lengths, size):
    rows = packed(lengths, size)
    assert sorted(place for row in rows for place in row) == list(range(len(lengths)))
    for row in rows:
        total = sum(lengths[place] for place in row)
        assert total <= size or len(row) == 1


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60))
def test_no_two_rows_could_have_been_one(lengths):
    totals = [sum(lengths[place] for place in row) for row in packed(lengths, 50)]
    assert len(totals) == 1 or sum(sorted(totals)[:2]) > 50


def test_the_fullest_row_that_has_room_is_taken():
    assert packed([6, 5, 4, 3, 2], 10) == [[0, 2], [1, 3, 4]]
    assert packed([], 10) == []

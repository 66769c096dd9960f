r"""Where words begin, in a TensorFlow graph.

In: the code points of texts in a row. Out: a flag for each, set where a match of the pre-tokenization's pattern begins.
TensorFlow's regular expressions know neither look-ahead nor Unicode's white space, so classes of neighbours in the text
are compared instead.

Axes: C characters of all texts in a row, R runs of characters of one class.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kgpt.text.character_classes import LETTER, NUMBER, OTHER, SPACE, classes
from kgpt.text.pretokenization import GPT2, GPT4, PORTUGUESE

_PAGE = 256
_NONE = -1
_LOWER = {letter: letter for letter in "stmdrevl"}
_ANY_CASE = {letter: letter + letter.upper() for letter in "stmdrevl"} | {"s": "sSſ"}
_CONTRACTIONS = ("s", "t", "m", "d", "re", "ve", "ll")
"""What may follow an apostrophe in a word of its own."""
Spellings = dict[str, str]


class GraphWords:
    """Cuts texts as one pre-tokenization does.

    Args:
        name: of the pre-tokenization.
    """

    def __init__(self, name: str) -> None:
        pages, page_classes = _pages()
        self._pages, self._classes = tf.constant(pages), tf.constant(page_classes)
        self._starts = {
            GPT2.name: _gpt2_starts,
            GPT4.name: _gpt4_starts,
            PORTUGUESE.name: _portuguese_starts,
        }[name]

    def starts(self, points_C: tf.Tensor, text_C: tf.Tensor) -> tf.Tensor:
        """Flags (C,) of code points int32 (C,), of which `text_C` says to which text they belong."""
        page_C = tf.gather(self._pages, points_C // _PAGE)
        class_C = tf.cast(tf.gather(self._classes, page_C * _PAGE + points_C % _PAGE), tf.int32)
        return self._starts(points_C, class_C, text_C)


def shifted(x: tf.Tensor, by: int, fill: Any) -> tf.Tensor:
    """At each place the value `by` places further on (or, negative, before), `fill` where there is none."""
    edge = tf.fill([abs(by)], tf.constant(fill, x.dtype))
    return tf.concat([x, edge], 0)[by:] if by > 0 else tf.concat([edge, x], 0)[:by]


def _gpt2_starts(points_C: tf.Tensor, class_C: tf.Tensor, text_C: tf.Tensor) -> tf.Tensor:
    r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ ."""
    before_C, after_C = _neighbours(class_C, text_C, SPACE)
    after_blank_C = _before(points_C, text_C) == ord(" ")
    is_space_C = class_C == SPACE
    space_starts_C = is_space_C & ((before_C != SPACE) | (after_C != SPACE))
    other_starts_C = ~is_space_C & (before_C != class_C) & ~after_blank_C
    apostrophe_C = (points_C == ord("'")) & other_starts_C
    starts_C = space_starts_C | other_starts_C
    return _with_contractions(starts_C, apostrophe_C, points_C, text_C, _LOWER)


def _gpt4_starts(points_C: tf.Tensor, class_C: tf.Tensor, text_C: tf.Tensor) -> tf.Tensor:
    """As `_joined_starts`; numbers never have a space, contractions are words of their own in either case."""
    starts_C = _joined_starts(points_C, class_C, text_C, space_before_numbers=False)
    apostrophe_C = (points_C == ord("'")) & starts_C
    return _with_contractions(starts_C, apostrophe_C, points_C, text_C, _ANY_CASE)


def _portuguese_starts(points_C: tf.Tensor, class_C: tf.Tensor, text_C: tf.Tensor) -> tf.Tensor:
    """As `_joined_starts`; no word of its own for contractions."""
    return _joined_starts(points_C, class_C, text_C, space_before_numbers=True)


def _joined_starts(
    points_C: tf.Tensor, class_C: tf.Tensor, text_C: tf.Tensor, space_before_numbers: bool
) -> tf.Tensor:
    r"""[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ ."""
    before_C, _ = _neighbours(class_C, text_C, _NONE)
    after_blank_C = _before(points_C, text_C) == ord(" ")
    is_first_C = before_C != class_C
    mark_C = (class_C == OTHER) & is_first_C & ~after_blank_C
    # A mark takes letters with it if it is alone and no space has taken it. White space does, but for a line end.
    is_line_end_C = (points_C == ord("\n")) | (points_C == ord("\r"))
    after_line_end_C = _before(tf.cast(is_line_end_C, tf.int32), text_C) == 1
    after_mark_C = _before(tf.cast(mark_C, tf.int32), text_C) == 1
    taken_C = after_mark_C | ((before_C == SPACE) & ~after_line_end_C)
    letters_C = (class_C == LETTER) & is_first_C & ~taken_C
    place_C = tf.range(tf.size(points_C))
    run_C = tf.cumsum(tf.cast(is_first_C | (_before(text_C, text_C) == _NONE), tf.int32)) - 1
    in_run_C = place_C - tf.gather(tf.math.segment_min(place_C, run_C), run_C)
    numbers_C = (class_C == NUMBER) & (in_run_C % 3 == 0)
    if space_before_numbers:
        numbers_C &= ~(after_blank_C & is_first_C)
    spaces_C = _space_starts(is_line_end_C, class_C, text_C, run_C, place_C)
    return mark_C | letters_C | numbers_C | spaces_C


def _space_starts(
    is_line_end_C: tf.Tensor,
    class_C: tf.Tensor,
    text_C: tf.Tensor,
    run_C: tf.Tensor,
    place_C: tf.Tensor,
) -> tf.Tensor:
    """Starts within runs of white space.

    Line ends right behind marks belong to these. What follows, up to the run's last line end, is one word. Behind that
    the last character stands apart, unless the text ends.
    """
    before_C, after_C = _neighbours(class_C, text_C, _NONE)
    is_space_C = class_C == SPACE
    after_line_end_C = _before(tf.cast(is_line_end_C, tf.int32), text_C) == 1
    first_line_end_C = is_line_end_C & ~after_line_end_C
    series_C = tf.cumsum(tf.cast(first_line_end_C, tf.int32))
    behind_mark_R = tf.boolean_mask(before_C == OTHER, first_line_end_C)
    behind_mark_R = tf.concat([[False], behind_mark_R], 0)
    taken_C = is_line_end_C & tf.gather(behind_mark_R, series_C)
    after_taken_C = _before(tf.cast(taken_C, tf.int32), text_C) == 1
    line_end_place_C = tf.where(is_line_end_C, place_C, -1)
    last_C = tf.gather(tf.math.segment_max(line_end_place_C, run_C), run_C)
    is_tail_C = is_space_C & (place_C > last_C)
    head_starts_C = is_space_C & ~is_tail_C & ~taken_C & ((before_C != SPACE) | after_taken_C)
    tail_starts_C = is_tail_C & ((before_C != SPACE) | (place_C == last_C + 1))
    apart_C = is_tail_C & (after_C != SPACE) & (after_C != _NONE)
    return head_starts_C | tail_starts_C | apart_C


def _neighbours(
    class_C: tf.Tensor, text_C: tf.Tensor, at_the_end: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """The class before and the class after each character of its text: `_NONE` at the start, `at_the_end` there."""
    is_last_C = shifted(text_C, 1, _NONE) != text_C
    after_C = tf.where(is_last_C, at_the_end, shifted(class_C, 1, _NONE))
    return _before(class_C, text_C), after_C


def _before(x_C: tf.Tensor, text_C: tf.Tensor) -> tf.Tensor:
    """The value before each character in its text, `_NONE` at the start."""
    is_first_C = shifted(text_C, -1, _NONE) != text_C
    return tf.where(is_first_C, _NONE, shifted(x_C, -1, _NONE))


def _with_contractions(
    starts_C: tf.Tensor,
    apostrophe_C: tf.Tensor,
    points_C: tf.Tensor,
    text_C: tf.Tensor,
    spellings: Spellings,
) -> tf.Tensor:
    """`starts_C` with contractions as words of their own, where `apostrophe_C` begins one."""
    for letters in _CONTRACTIONS:
        accepted = [spellings[letter] for letter in letters]
        starts_C = _with_contraction(starts_C, apostrophe_C, points_C, text_C, accepted)
    return starts_C


def _with_contraction(
    starts_C: tf.Tensor,
    apostrophe_C: tf.Tensor,
    points_C: tf.Tensor,
    text_C: tf.Tensor,
    accepted: Sequence[str],
) -> tf.Tensor:
    """`starts_C` with none inside an apostrophe followed by the `accepted` letters, and one after it."""
    found_C = apostrophe_C
    for index, letters in enumerate(accepted, 1):
        point_C = shifted(points_C, index, 0)
        found_C &= tf.reduce_any([point_C == ord(letter) for letter in letters], axis=0)
        found_C &= shifted(text_C, index, _NONE) == text_C
    for index in range(1, len(accepted) + 1):
        starts_C &= ~shifted(found_C, -index, False)
    return starts_C | shifted(found_C, -len(accepted) - 1, False)


def _pages() -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """A page number for each 256 code points, and the pages: the class of every code point."""
    unique, index = np.unique(classes().reshape(-1, _PAGE), axis=0, return_inverse=True)
    return index.reshape(-1).astype(np.int32), unique.reshape(-1)

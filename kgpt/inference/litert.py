"""Decoding on a CPU through LiteRT: token ids in, the scores of the next token out. Needs no TensorFlow and no Keras.

The file that `kgpt.inference.litert_convert` writes holds a graph for each size. Embeddings are looked up here, in the
checkpoint's own file, and keys and values lie in arrays that the graphs read where they are. Every row has its own
length, so uneven prompts cost no padding.

Axes: B rows, V vocabulary.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np

from kgpt.inference.context import check_extension, check_prompts, no_place
from kgpt.inference.litert_model import Array, LiteRTModel
from kgpt.inference.litert_rows import Rows

Place = tuple[Rows, int]
"""A row."""


class LiteRTDecoder:
    """Continues B rows of tokens with a converted model; a `kgpt.inference.context.Decoder`.

    Example:
        >>> decoder = LiteRTDecoder(LiteRTModel(file, embedding, positions, config))
        >>> decoder.prefill([[1, 2, 3], [4]]).shape
        (2, 4096)
        >>> decoder.step([5, 6]).shape
        (2, 4096)
    """

    def __init__(self, model: LiteRTModel) -> None:
        self.context_length = model.config.context_length
        self.vocabulary_size = model.config.vocabulary_size
        self.size = self.context_length
        """Tokens that a row may grow to."""
        self._model = model
        self._places: list[Place] = []

    @property
    def length(self) -> int:
        """Tokens of the longest row."""
        return max((rows.lengths[row] for rows, row in self._places), default=0)

    def fresh(self) -> LiteRTDecoder:
        """A decoder with an empty cache that shares the model."""
        return LiteRTDecoder(self._model)

    def seats(self) -> LiteRTSeats:
        """Rows that share the model, for texts that come and go."""
        return LiteRTSeats(self._model)

    def branch(self) -> LiteRTDecoder:
        """A decoder that goes on from here, with a copy of the cache."""
        other = copy.copy(self)
        other.select(range(len(self._places)))
        return other

    def select(self, rows: Sequence[int]) -> None:
        """Go on with copies of these rows, in this order; one may come several times."""
        old = [self._places[row] for row in rows]
        self._places = self._made(len(old), self.length)
        for (rows_, row), place in zip(self._places, old, strict=True):
            rows_.take(row, *place)

    def prefill(self, prompts: Sequence[Sequence[int]], size: int | None = None) -> Array:
        """Scores (B, V) after each prompt. What was decoded before is forgotten.

        `size` is the number of tokens that the rows may grow to, the context by default.

        Raises:
            KgptError: a prompt is empty or longer than the context, or holds an id that the model does not know.
        """
        check_prompts(prompts, self.context_length, self.vocabulary_size)
        longest = max(map(len, prompts))
        self.size = self.context_length if size is None else max(size, longest)
        self._places = self._made(len(prompts), longest)
        pairs = zip(self._places, prompts, strict=True)
        return np.stack([rows.read(row, prompt) for (rows, row), prompt in pairs])

    def step(self, tokens: Sequence[int]) -> Array:
        """Scores (B, V) after one more token for each row.

        Raises:
            KgptError: nothing was prefilled, another number of rows was, or the cache is full.
        """
        if len(tokens) != len(self._places) or not 0 < self.length < self.size:
            raise no_place(len(self._places), len(tokens), self.length, self.size)
        return np.stack(
            list(_step(dict(enumerate(tokens)), dict(enumerate(self._places))).values())
        )

    def extend(self, tokens: Sequence[int]) -> Array:
        """Scores (N, V) after each of N more tokens of the only row, read at once.

        Raises:
            KgptError: there is not one row, or no place for them.
        """
        check_extension(len(self._places), len(tokens), self.length, self.size)
        return self._places[0][0].extend(tokens)

    def cut(self, length: int) -> None:
        """Forget what the only row holds beyond so many tokens."""
        self._places[0][0].cut(length)

    def _made(self, count: int, length: int) -> list[Place]:
        """Free rows, with a place for one token more than `length` where the context has it."""
        length = min(length + 1, self.context_length)
        groups = [Rows(self._model, size, length) for size in self._model.shapes.groups(count)]
        return [(rows, row) for rows in groups for row in range(rows.count)][:count]


class LiteRTSeats:
    """Rows that texts take and leave one by one, between steps; a `kgpt.inference.context.Seats`.

    The groups of rows change with the number of texts: `Shapes.groups` has which are the fastest.
    """

    def __init__(self, model: LiteRTModel) -> None:
        self._model = model
        self._groups: list[Rows] = []
        self._places: dict[int, Place] = {}
        self._next = 0

    def join(self, prompt: Sequence[int]) -> tuple[int, Array]:
        """A seat for a prompt, and the scores (V,) after it.

        Raises:
            KgptError: it is empty or longer than the context, or holds an id that the model does not know.
        """
        c = self._model.config
        check_prompts([prompt], c.context_length, c.vocabulary_size)
        rows, row = self._free(min(len(prompt) + 1, c.context_length))
        logits_V = rows.read(row, prompt)
        return self._seat((rows, row)), logits_V

    def fork(self, seat: int) -> int:
        """Another seat that goes on from where one is."""
        rows, row = self._free(self._places[seat][0].lengths[self._places[seat][1]])
        rows.take(row, *self._places[seat])
        return self._seat((rows, row))

    def step(self, tokens: Mapping[int, int]) -> dict[int, Array]:
        """Scores (V,) by seat, after one more token for each of these."""
        return _step(tokens, self._places)

    def leave(self, seat: int) -> None:
        """Free a seat."""
        rows, row = self._places.pop(seat)
        rows.leave(row)
        count = len(self._places)
        # Room for some more, lest texts be moved to and fro where one comes and one goes.
        wanted = self._model.shapes.groups(count + count // 4)
        if sum(wanted) < sum(group.count for group in self._groups):
            self._arrange(wanted)

    def _seat(self, place: Place) -> int:
        self._next += 1
        self._places[self._next] = place
        return self._next

    def _free(self, length: int) -> Place:
        if not any(rows.free for rows in self._groups):
            self._arrange(self._model.shapes.groups(len(self._places) + 1), length)
        found = next(rows for rows in self._groups if rows.free)
        return found, found.free[0]

    def _arrange(self, sizes: list[int], length: int = 1) -> None:
        """Have groups of these sizes, and move the texts of those that are none of them."""
        left, kept = list(sizes), []
        for rows in sorted(self._groups, key=lambda rows: len(rows.free)):  # the fullest stay
            if rows.count in left:
                left.remove(rows.count)
                kept.append(rows)
        self._groups = [*kept, *(Rows(self._model, size, length) for size in left)]
        for seat, (rows, row) in list(self._places.items()):
            if rows not in self._groups:
                new = next(rows for rows in self._groups if rows.free)
                place = new.free[0]
                new.take(place, rows, row)
                self._places[seat] = (new, place)


def _step(tokens: Mapping[int, int], places: Mapping[int, Place]) -> dict[int, Array]:
    """Scores (V,) by key, each group of rows computed at once."""
    groups: dict[int, tuple[Rows, dict[int, int]]] = {}
    for key in tokens:
        rows, row = places[key]
        groups.setdefault(id(rows), (rows, {}))[1][key] = row
    scores: dict[int, Array] = {}
    for rows, keys in groups.values():
        logits = rows.step({row: tokens[key] for key, row in keys.items()})
        scores.update(zip(keys, logits, strict=True))
    return {key: scores[key] for key in tokens}

"""Rows that texts take and leave between steps, for the Keras decoder: one cache, in which all rows end at one place.

A text that joins is moved to where the others end, with padding before it. When that place is the last, the padding
that every row has is taken away. Shapes change only when there are more texts than rows, whose number then doubles.

Axes: B rows, K key and value heads, S places of the cache, D channels of a head, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from kgpt.inference.compiled import compiled

FEWEST_ROWS = 8
Scores = NDArray[np.float32]


class KerasSeats:
    """A `kgpt.inference.context.Seats`.

    `read` gives the scores (V,) after a prompt and its cache, one row with the prompt at the first of S places; `step`
    is the model's, compiled: (ids (B, 1), cache, place, padding (B,)) -> (scores (B, V), cache).
    """

    def __init__(
        self,
        read: Callable[[Sequence[int]], tuple[Scores, Any]],
        step: Callable[..., tuple[Any, Any]],
        size: int,
    ) -> None:
        self._read, self._step, self._size = read, step, size
        self._put = compiled(_put, [])
        self._turn = compiled(_turn, [])
        self._cache: Any = None
        self._end = 0
        self._padding: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self._rows: dict[int, int] = {}
        self._next = 0

    def join(self, prompt: Sequence[int]) -> tuple[int, Scores]:
        """A seat for a prompt, and the scores (V,) after it.

        Raises:
            KgptError: it is empty or longer than the context, or holds an id that the model does not know.
        """
        logits_V, cache = self._read(prompt)
        row = self._free_row(cache)
        self._move_end(max(self._end, len(prompt)))
        padding = self._end - len(prompt)
        self._cache = self._put(self._cache, cache, _whole(row), _whole(padding))
        return self._seat(row, padding), logits_V

    def fork(self, seat: int) -> int:
        """Another seat that goes on from where one is."""
        row, old = self._free_row(self._cache), self._rows[seat]
        source = [tuple(part[old : old + 1] for part in layer) for layer in self._cache]
        self._cache = self._put(self._cache, source, _whole(row), _whole(0))
        return self._seat(row, int(self._padding[old]))

    def step(self, tokens: Mapping[int, int]) -> dict[int, Scores]:
        """Scores (V,) by seat, after one more token for every seat that is taken."""
        if self._end == self._size:
            self._move_end(self._size - int(min(self._padding[row] for row in self._rows.values())))
        ids_B1 = np.zeros((len(self._padding), 1), dtype=np.int32)
        for seat, token in tokens.items():
            ids_B1[self._rows[seat]] = token
        logits_BV, self._cache = self._step(ids_B1, self._cache, _whole(self._end), self._padding)
        self._end += 1
        for row in self._free():
            self._padding[row] = self._end
        scores_BV = np.asarray(ops.convert_to_numpy(logits_BV))
        return {seat: scores_BV[self._rows[seat]] for seat in tokens}

    def leave(self, seat: int) -> None:
        """Free a seat."""
        self._padding[self._rows.pop(seat)] = self._end
        if not self._rows:
            self._end, self._padding[:] = 0, 0

    def _seat(self, row: int, padding: int) -> int:
        self._next += 1
        self._rows[self._next], self._padding[row] = row, padding
        return self._next

    def _free(self) -> list[int]:
        return sorted(set(range(len(self._padding))) - set(self._rows.values()))

    def _free_row(self, like: Any) -> int:
        if not self._free():
            more = max(FEWEST_ROWS, len(self._padding))
            empty = [
                tuple(ops.zeros((more, *part.shape[1:]), part.dtype) for part in layer)
                for layer in like
            ]
            self._cache = empty if self._cache is None else _joined(self._cache, empty)
            self._padding = np.append(self._padding, np.full(more, self._end, dtype=np.int32))
        return self._free()[0]

    def _move_end(self, end: int) -> None:
        """Let every row end at another place."""
        if end != self._end and self._rows:
            self._cache = self._turn(self._cache, _whole(end - self._end))
        self._padding = np.clip(self._padding + (end - self._end), 0, end).astype(np.int32)
        self._end = end


def _whole(number: int) -> Any:
    return np.asarray(number, dtype=np.int32)


def _put(cache: Any, row_cache: Any, row: Any, shift: Any) -> Any:
    """The cache, with one row replaced by another that is moved by `shift` places."""

    def replaced(part_BKSD: Any, row_1KSD: Any) -> Any:
        is_row_B111 = ops.reshape(ops.arange(part_BKSD.shape[0]) == row, (-1, 1, 1, 1))
        return ops.where(is_row_B111, ops.roll(row_1KSD, shift, axis=2), part_BKSD)

    return [
        tuple(replaced(part, row_part) for part, row_part in zip(layer, row_layer, strict=True))
        for layer, row_layer in zip(cache, row_cache, strict=True)
    ]


def _turn(cache: Any, shift: Any) -> Any:
    return [tuple(ops.roll(part, shift, axis=2) for part in layer) for layer in cache]


def _joined(cache: Any, more: Any) -> Any:
    return [
        tuple(ops.concatenate(parts, axis=0) for parts in zip(layer, more_layer, strict=True))
        for layer, more_layer in zip(cache, more, strict=True)
    ]

"""Decoding with a KV cache: token ids in, the scores of the next token out. One prefill, then one token a step.

Axes: B rows decoded together, P places of a prefill, S places of the cache, V vocabulary.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from kgpt.inference.compiled import compiled
from kgpt.inference.context import check_extension, check_prompts, no_place, power_of_two
from kgpt.inference.keras_seats import KerasSeats
from kgpt.model.gpt import GPT

SMALLEST_PREFILL = 16
"""Prompts up to this length share one compiled function."""

Logits = NDArray[np.float32]


class KerasDecoder:
    """Continues B rows of tokens with a `GPT`; a `kgpt.inference.context.Decoder`.

    Prompts are padded on the left to a power of two, so that any length meets a function that is compiled already,
    and every step has one shape. The padding leaves the cache with the prefill: it costs no places of the context.

    Example:
        >>> decoder = KerasDecoder(model)
        >>> decoder.prefill([[1, 2, 3], [4]]).shape
        (2, 4096)
        >>> decoder.step([5, 6]).shape
        (2, 4096)
    """

    def __init__(self, model: GPT) -> None:
        self.context_length = model.config.context_length
        self.vocabulary_size = model.config.vocabulary_size
        self.size = self.context_length
        """Places in the cache."""
        self.length = 0
        """Places taken; the rows end at the last of them."""
        self._model = model
        self._prefill = compiled(self._prefill_cache, model.variables)
        self._step = compiled(model.call_with_cache, model.variables)
        self._extend = compiled(partial(model.call_with_cache, every=True), model.variables)
        self._cache: Any = None
        self._padding_B = np.zeros(0, dtype=np.int32)

    def fresh(self) -> KerasDecoder:
        """A decoder with a cache of its own that shares the model and what is compiled."""
        other = copy.copy(self)
        other._cache, other.length = None, 0
        return other

    def seats(self) -> KerasSeats:
        """Rows that share the model and what is compiled, for texts that come and go."""
        return KerasSeats(self._read, self._step, self.context_length)

    def branch(self) -> KerasDecoder:
        """A decoder that goes on from here, as this one may too: steps make a new cache and leave the old one."""
        return copy.copy(self)

    def select(self, rows: Sequence[int]) -> None:
        """Go on with these rows, in this order; one may come several times.

        Raises:
            IndexError: there is no such row.
        """
        self._padding_B = self._padding_B[list(rows)]
        index_B = np.asarray(rows, dtype=np.int32)
        self._cache = [
            tuple(ops.take(part, index_B, axis=0) for part in layer) for layer in self._cache
        ]

    def prefill(self, prompts: Sequence[Sequence[int]], size: int | None = None) -> Logits:
        """Scores (B, V) after each prompt. What was decoded before is forgotten.

        `size` is the number of tokens that the rows may grow to, the context by default; less saves time and memory.

        Raises:
            KgptError: a prompt is empty or longer than the context, or holds an id that the model does not know.
        """
        check_prompts(prompts, self.context_length, self.vocabulary_size)
        longest = max(map(len, prompts))
        self.size = self.context_length if size is None else max(size, longest)
        places = min(max(SMALLEST_PREFILL, power_of_two(longest)), self.size)
        ids_BP = np.zeros((len(prompts), places), dtype=np.int32)
        for row, prompt in enumerate(prompts):
            ids_BP[row, places - len(prompt) :] = prompt
        padding_B = np.array([places - len(prompt) for prompt in prompts], dtype=np.int32)
        unused = np.asarray(places - longest, dtype=np.int32)
        logits_BV, cache = self._prefill(ids_BP, padding_B, unused)
        self._cache = [tuple(_grow(part, self.size) for part in layer) for layer in cache]
        self._padding_B, self.length = padding_B - unused, longest
        return np.asarray(ops.convert_to_numpy(logits_BV))

    def step(self, tokens: Sequence[int]) -> Logits:
        """Scores (B, V) after one more token for each row.

        Raises:
            KgptError: nothing was prefilled, another number of rows was, or the cache is full.
        """
        if len(tokens) != len(self._padding_B) or not 0 < self.length < self.size:
            raise no_place(len(self._padding_B), len(tokens), self.length, self.size)
        ids_B1 = np.asarray(tokens, dtype=np.int32)[:, None]
        start = np.asarray(self.length, dtype=np.int32)
        logits_BV, self._cache = self._step(ids_B1, self._cache, start, self._padding_B)
        self.length += 1
        return np.asarray(ops.convert_to_numpy(logits_BV))

    def extend(self, tokens: Sequence[int]) -> Logits:
        """Scores (N, V) after each of N more tokens of the only row, read at once.

        Raises:
            KgptError: there is not one row, or no place for them.
        """
        check_extension(len(self._padding_B), len(tokens), self.length, self.size)
        ids_1N = np.asarray(tokens, dtype=np.int32)[None]
        start = np.asarray(self.length, dtype=np.int32)
        logits_1NV, self._cache = self._extend(ids_1N, self._cache, start, self._padding_B)
        self.length += len(tokens)
        return np.asarray(ops.convert_to_numpy(logits_1NV)[0])

    def cut(self, length: int) -> None:
        """Forget what the only row holds beyond so many tokens; later ones take its places."""
        self.length = min(self.length, length)

    def _read(self, prompt: Sequence[int]) -> tuple[Logits, Any]:
        reader = self.fresh()
        return reader.prefill([prompt])[0], reader._cache

    def _prefill_cache(self, ids_BP: Any, padding_B: Any, unused: Any) -> tuple[Any, Any]:
        """Scores, and a cache of P places without the first `unused` ones, which are padding in every row."""
        empty = self._model.empty_cache(ids_BP.shape[0], ids_BP.shape[1])
        logits_BV, cache = self._model.call_with_cache(ids_BP, empty, 0, padding_B)
        # Rolled to the end, the padding lies where steps overwrite it before anything looks at it.
        return logits_BV, [
            tuple(ops.roll(part, -unused, axis=2) for part in layer) for layer in cache
        ]


def _grow(part_BKPD: Any, size: int) -> Any:
    missing = size - part_BKPD.shape[2]
    return ops.pad(part_BKPD, [(0, 0), (0, 0), (0, missing), (0, 0)]) if missing else part_BKPD

"""How likely a model holds continuations: requests in, log-likelihoods out. The one scoring core of all tasks.

Of a context only the vectors are computed, not the logits; choices of a question share their context (see `packing`).
Sums over tokens are in float64. Axes: B rows, T places, N scored tokens, C channels, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from kgpt.errors import KgptError
from kgpt.evaluation.packing import Batch, batches
from kgpt.evaluation.pairs import Request, requests_of
from kgpt.inference.compiled import compiled
from kgpt.language import _
from kgpt.model.gpt import GPT
from kgpt.text.tokenizer import Tokenizer

HEAD_SIZES = (16, 64, 256, 1024)
"""Tokens whose logits are made at once: few sizes, for each is compiled."""
Progress = Callable[[int, int], object]
"""Told how many of how many are done."""


@dataclass(frozen=True)
class Score:
    """What a model says of a continuation."""

    log_likelihood: float
    """Nats, summed over its tokens."""
    is_greedy: bool
    """Whether each of its tokens is the most probable one."""
    tokens: int
    lost: int = 0
    """Tokens of the context that did not fit."""


class LikelihoodScorer:
    """Scores continuations with a `GPT`, compiled once for each shape of a batch.

    Raises:
        KgptError: the tokenizer's vocabulary is not the model's.
    """

    def __init__(self, model: GPT, tokenizer: Tokenizer) -> None:
        if tokenizer.vocabulary_size != model.config.vocabulary_size:
            raise KgptError(
                _("Vocabulary does not match the model"),
                _(
                    "Expected a tokenizer with {vocabulary_size} ids, as the model has. Received: one "
                    "with {vocabulary_size_2}.",
                    vocabulary_size=model.config.vocabulary_size,
                    vocabulary_size_2=tokenizer.vocabulary_size,
                ),
                _(
                    "Use the tokenizer that the model was trained with: its run's tokenizer/ folder."
                ),
            )
        self.model, self.tokenizer = model, tokenizer
        self.context_length: int = model.config.context_length
        self._compiled: dict[Any, Callable[..., Any]] = {}

    def score_texts(
        self,
        pairs: Sequence[tuple[str, str]],
        groups: Sequence[Hashable],
        on_progress: Progress = lambda done, of: None,
    ) -> list[Score]:
        """The score of each (context, continuation); those of one group may share their context's computation.

        Raises:
            KgptError: a continuation is empty or longer than the model's context.
        """
        return self.score(requests_of(self.tokenizer, pairs, groups), on_progress)

    def score(
        self, requests: Sequence[Request], on_progress: Progress = lambda done, of: None
    ) -> list[Score]:
        """The score of each request.

        Raises:
            KgptError: a continuation is longer than the model's context.
        """
        total, greedy = np.zeros(len(requests)), np.ones(len(requests), dtype=bool)
        done = 0
        for batch in batches(requests, self.context_length):
            surprise_N, is_top_N = self._measure(batch)
            np.subtract.at(total, batch.owners_N, surprise_N)
            np.logical_and.at(greedy, batch.owners_N, is_top_N)
            done += len(np.unique(batch.owners_N))
            on_progress(done, len(requests))
        return [
            Score(
                float(total[number]),
                bool(greedy[number]),
                len(request.continuation),
                request.cut(self.context_length)[1],
            )
            for number, request in enumerate(requests)
        ]

    def _measure(self, batch: Batch) -> tuple[Any, Any]:
        """Minus log-probabilities (N,) in float64, and whether each token is the most probable."""
        if batch.is_plain:
            x_BTC = self._call(self.model.hidden_states, batch.ids_BT)
        else:
            arrays = (batch.ids_BT, batch.positions_BT, batch.segments_BT)
            x_BTC = self._call(self._packed_states, *arrays)
        x_MC = ops.reshape(x_BTC, (-1, self.model.config.width))
        surprises, tops = [], []
        for first in range(0, len(batch.places_N), HEAD_SIZES[-1]):
            chosen = slice(first, first + HEAD_SIZES[-1])
            places_N, targets_N = batch.places_N[chosen], batch.targets_N[chosen]
            count = len(places_N)
            missing = next(size for size in HEAD_SIZES if size >= count) - count
            x_NC = ops.take(x_MC, np.pad(places_N, (0, missing)), axis=0)
            surprise_N, is_top_N = self._call(
                self._surprises, x_NC, np.pad(targets_N, (0, missing))
            )
            surprises.append(np.asarray(surprise_N, "float64")[:count])
            tops.append(np.asarray(is_top_N)[:count])
        return np.concatenate(surprises), np.concatenate(tops)

    def _call(self, function: Callable[..., Any], *arrays: Any) -> Any:
        """The function's result, compiled for the shape of its first array."""
        key = (function.__name__, tuple(arrays[0].shape))
        if key not in self._compiled:  # one for each shape: TensorFlow warns of one with many
            self._compiled[key] = compiled(function, self.model.variables)
        return self._compiled[key](*arrays)

    def _packed_states(self, ids_BT: Any, positions_BT: Any, segments_BT: Any) -> Any:
        """Vectors (B, T, C) where a token sees what comes before it among the shared ids and in its own branch."""
        place_T = ops.arange(ids_BT.shape[1])
        query_BT1, key_B1T = segments_BT[:, :, None], segments_BT[:, None, :]
        is_visible_BTT = ops.logical_or(key_B1T == 0, key_B1T == query_BT1)
        is_before_TT = place_T[:, None] >= place_T[None, :]
        mask_BTT = ops.logical_and(is_visible_BTT, is_before_TT[None])
        return self.model.masked_states(ids_BT, positions_BT, mask_BTT)

    def _surprises(self, x_NC: Any, targets_N: Any) -> tuple[Any, Any]:
        logits_NV = self.model.logits(x_NC[None])[0]
        highest_N = ops.max(logits_NV, axis=-1)
        own_N = ops.take_along_axis(logits_NV, targets_N[:, None], axis=-1)[:, 0]
        total_N = ops.sum(ops.exp(logits_NV - highest_N[:, None]), axis=-1)
        return highest_N + ops.log(total_N) - own_N, own_N >= highest_N

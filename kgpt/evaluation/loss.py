"""The loss of a model on a token stream: nats a token, perplexity, bits a byte.

In: a model and tokens. Out: sums over every token of the stream, divided once at the end; never averaged over
batches. Axes: B batch, T time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from kgpt.evaluation.tokens import Loss, TokenStream, check_not_empty, window
from kgpt.inference.compiled import compiled
from kgpt.model.cross_entropy import chunk_size, cross_entropy_of
from kgpt.model.gpt import GPT

TOKENS_AT_ONCE = 8192
"""In a batch, where that is no more than 16 windows."""


class LossEvaluator:
    """Measures a `GPT` again and again, compiled once for its batch shape.

    The stream is cut into windows of `context_length` tokens. Each token is predicted once, from the tokens before it
    in its window; the first of each window from the token before the window (end of text at the very beginning).

    Memory is bounded: a batch has about `TOKENS_AT_ONCE` tokens whatever the context, unless `batch_size` (windows)
    says otherwise, and the logits of a chunk of them exist at a time. `jit_compile` uses XLA: what is measured often is
    then measured in half the time.
    """

    def __init__(
        self, model: GPT, end_of_text: int, batch_size: int = 0, *, jit_compile: bool = False
    ) -> None:
        self.model, self.end_of_text = model, end_of_text
        self.context_length: int = model.config.context_length
        self.batch_size = batch_size or max(1, min(16, TOKENS_AT_ONCE // self.context_length))
        self._cross_entropy = cross_entropy_of(model)
        self._sum: Callable[..., Any] = compiled(
            self._negative_log_likelihood, model.variables, jit_compile=jit_compile
        )

    def measure(
        self,
        tokens: TokenStream,
        num_bytes: int,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Loss:
        """The loss over all of `tokens`, which stand for `num_bytes` bytes of text.

        Raises:
            KgptError: there are no tokens.
        """
        check_not_empty(tokens)
        count, time = len(tokens), self.context_length
        starts = range(0, count, time)
        total = 0.0
        for first in range(0, len(starts), self.batch_size):
            batch = [
                self._window(tokens, start) for start in starts[first : first + self.batch_size]
            ]
            batch += [(np.zeros(time, "int32"),) * 2 + (np.zeros(time, "float32"),)] * (
                self.batch_size - len(batch)
            )
            inputs_BT, targets_BT, weights_BT = (
                np.stack(rows) for rows in zip(*batch, strict=True)
            )
            total += float(
                np.sum(np.asarray(self._sum(inputs_BT, targets_BT, weights_BT), "float64"))
            )
            if on_progress:
                on_progress(min(count, (first + self.batch_size) * time), count)
        return Loss(loss=total / count, tokens=count, bytes=num_bytes)

    def _window(self, tokens: TokenStream, start: int) -> tuple[Any, Any, Any]:
        time = self.context_length
        inputs, targets = window(tokens, start, time, self.end_of_text)
        length = len(targets)
        inputs_T, targets_T, weights_T = (
            np.zeros(time, dtype) for dtype in ("int32", "int32", "float32")
        )
        inputs_T[:length], targets_T[:length], weights_T[:length] = inputs, targets, 1.0
        return inputs_T, targets_T, weights_T

    def _negative_log_likelihood(self, inputs_BT: Any, targets_BT: Any, weights_BT: Any) -> Any:
        config = self.model.config
        chunk = chunk_size(self.batch_size * self.context_length, config.padded_vocabulary_size)
        x_NC = ops.reshape(self.model.hidden_states(inputs_BT), (-1, config.width))
        target_N = ops.reshape(targets_BT, (-1,))
        loss_N = self._cross_entropy.each(x_NC, self.model.head_matrix, target_N, chunk)
        return ops.sum(ops.reshape(loss_N, ops.shape(weights_BT)) * weights_BT, axis=-1)

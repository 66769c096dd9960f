"""The loss of a model on a token stream: nats a token, perplexity, bits a byte.

In: a model and tokens. Out: sums in float64 over every token of the stream, divided once at the end; never averaged
over batches. Axes: B batch, T time, S places that are scored, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from kgpt.errors import KgptError
from kgpt.evaluation.tokens import (
    Loss,
    Stretches,
    TokenStream,
    check_not_empty,
    window,
    window_places,
)
from kgpt.inference.compiled import compiled
from kgpt.language import _
from kgpt.model.cross_entropy import MEASURED_CHUNK_BYTES, chunk_size, cross_entropy_of
from kgpt.model.gpt import GPT

TOKENS_AT_ONCE = 8192
"""In a batch, where that is no more than 16 windows."""


class LossEvaluator:
    """Measures a `GPT` again and again, compiled once for its batch shape.

    The stream is cut into windows of `context_length` tokens, by default the model's context. Each token is predicted
    once, from the tokens before it in its window; the first of each window from the token before the window (end of
    text at the very beginning). With a `stride` below that length windows overlap, so that every token has at least
    `context_length - stride` tokens before it.

    Memory is bounded: a batch has about `TOKENS_AT_ONCE` tokens whatever the context, unless `batch_size` (windows)
    says otherwise, and the logits of a chunk of them exist at a time. `jit_compile` uses XLA: what is measured often is
    then measured in half the time.

    Raises:
        KgptError: the model's context is shorter than `context_length`.
    """

    def __init__(
        self,
        model: GPT,
        end_of_text: int,
        batch_size: int = 0,
        *,
        context_length: int = 0,
        jit_compile: bool = False,
    ) -> None:
        self.model, self.end_of_text = model, end_of_text
        self.context_length = context_length or model.config.context_length
        check_context(self.context_length, model.config.context_length)
        self.batch_size = batch_size or max(1, min(16, TOKENS_AT_ONCE // self.context_length))
        self._cross_entropy = cross_entropy_of(model)
        self._each: Callable[..., Any] = compiled(
            self._negative_log_likelihood, model.variables, jit_compile=jit_compile
        )

    def measure(
        self,
        tokens: TokenStream,
        num_bytes: int,
        on_progress: Callable[[int, int], None] | None = None,
        *,
        stride: int = 0,
        token_bytes_V: NDArray[np.integer] | None = None,
    ) -> Loss:
        """The loss over all of `tokens`, which stand for `num_bytes` bytes of text.

        Args:
            tokens: the text.
            num_bytes: of the text.
            on_progress: told after each batch how many of how many tokens are done.
            stride: tokens between the beginnings of two windows; by default windows follow each other.
            token_bytes_V: bytes of each id; with them the result has `figures`.

        Raises:
            KgptError: there are no tokens, or the stride is longer than a window.
        """
        check_not_empty(tokens)
        count, time = len(tokens), self.context_length
        check_stride(stride, time)
        places = list(window_places(count, time, stride or time))
        stretches = None if token_bytes_V is None else Stretches(token_bytes_V, num_bytes)
        total, done = 0.0, 0
        for first in range(0, len(places), self.batch_size):
            chosen = places[first : first + self.batch_size]
            windows = [window(tokens, start, time, self.end_of_text) for start, _skipped in chosen]
            left_out = min(skipped for _start, skipped in chosen)
            nats_BS = self._nats(windows, left_out)
            for (_start, skipped), (_ids, targets), nats_S in zip(
                chosen, windows, nats_BS, strict=False
            ):
                scored_S = nats_S[skipped - left_out : len(targets) - left_out]
                total, done = total + float(scored_S.sum()), done + len(scored_S)
                if stretches:
                    stretches.add(targets[skipped:], scored_S)
            if on_progress:
                on_progress(done, count)
        figures = stretches.figures() if stretches else {}
        return Loss(loss=total / count, tokens=count, bytes=num_bytes, figures=figures)

    def _nats(self, windows: list[tuple[Any, Any]], left_out: int) -> NDArray[np.float64]:
        """Minus log-probabilities (B, S) of the targets of some windows, without those of the first `left_out`.

        Beyond a window's end stands anything.
        """
        shape = (self.batch_size, self.context_length)
        inputs_BT, targets_BT = np.zeros(shape, "int32"), np.zeros(shape, "int32")
        for row, (inputs, targets) in enumerate(windows):
            inputs_BT[row, : len(inputs)], targets_BT[row, : len(targets)] = inputs, targets
        return np.asarray(self._each(inputs_BT, targets_BT[:, left_out:]), "float64")

    def _negative_log_likelihood(self, inputs_BT: Any, targets_BS: Any) -> Any:
        """Of the last S places; of those before them no logits are computed."""
        config, scored = self.model.config, targets_BS.shape[1]
        x_BTC = self.model.hidden_states(inputs_BT)
        x_NC = ops.reshape(x_BTC[:, self.context_length - scored :], (-1, config.width))
        chunk = chunk_size(self.batch_size * scored, config.vocabulary_size, MEASURED_CHUNK_BYTES)
        loss_N = self._cross_entropy.each(
            x_NC, self.model.head_matrix, ops.reshape(targets_BS, (-1,)), chunk
        )
        return ops.reshape(loss_N, ops.shape(targets_BS))


def check_context(asked: int, context_length: int) -> None:
    """Refuse windows that a model cannot read.

    Raises:
        KgptError: they are longer than its context.
    """
    if not 1 <= asked <= context_length:
        raise KgptError(
            _("Context too long"),
            _(
                "Expected 1 to {context_length} tokens, the model's context. Received: {asked}.",
                context_length=context_length,
                asked=asked,
            ),
            _("Give a smaller --context, or leave it out."),
        )


def check_stride(stride: int, context_length: int) -> None:
    """Refuse strides that would leave tokens out.

    Raises:
        KgptError: the stride is longer than a window, or negative.
    """
    if not 0 <= stride <= context_length:
        raise KgptError(
            _("Stride too long"),
            _(
                "Expected 1 to {context_length} tokens, the context. Received: {stride}.",
                context_length=context_length,
                stride=stride,
            ),
            _("Give a smaller --stride, or leave it out."),
        )

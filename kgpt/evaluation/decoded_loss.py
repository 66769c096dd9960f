"""The loss of a model as it writes: computed token by token, by the very decoder that generation uses.

Slower than `kgpt.evaluation.loss`, and true for decoders that compute differently, such as those with int8 weights.
Axes: B windows at once, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgpt.evaluation.tokens import Loss, Stretches, TokenStream, check_not_empty, window
from kgpt.inference.context import Decoder

WINDOWS_AT_ONCE = 8


def decoded_loss(
    decoder: Decoder,
    tokens: TokenStream,
    num_bytes: int,
    end_of_text: int,
    on_progress: Callable[[int, int], object] = lambda done, of: None,
    token_bytes_V: NDArray[np.integer] | None = None,
) -> Loss:
    """The loss over all of `tokens`, which stand for `num_bytes` bytes of text, in windows of the context's length.

    With the bytes of each id, `token_bytes_V`, the result has `figures`.

    Raises:
        KgptError: there are no tokens.
    """
    check_not_empty(tokens)
    count, length = len(tokens), decoder.context_length
    starts, total = range(0, count, length), 0.0
    decoder = decoder.fresh()
    stretches = None if token_bytes_V is None else Stretches(token_bytes_V, num_bytes)
    for first in range(0, len(starts), WINDOWS_AT_ONCE):
        chosen = starts[first : first + WINDOWS_AT_ONCE]
        windows = [window(tokens, start, length, end_of_text) for start in chosen]
        longest = max(len(targets) for _, targets in windows)
        nats_BT = np.zeros((len(windows), longest))
        logits_BV = decoder.prefill([[int(inputs[0])] for inputs, _ in windows])
        for place in range(longest):
            if place:
                ids = [int(inputs[place]) if place < len(inputs) else 0 for inputs, _ in windows]
                logits_BV = decoder.step(ids)
            rows = [row for row, (_, targets) in enumerate(windows) if place < len(targets)]
            targets_B = np.array([windows[row][1][place] for row in rows])
            nats_BT[rows, place] = _surprises(logits_BV[rows], targets_B)
        total += float(nats_BT.sum())
        for nats_T, (_, targets) in zip(nats_BT, windows, strict=True):
            if stretches:
                stretches.add(targets, nats_T[: len(targets)])
        on_progress(min(count, (first + len(chosen)) * length), count)
    figures = stretches.figures() if stretches else {}
    return Loss(loss=total / count, tokens=count, bytes=num_bytes, figures=figures)


def _surprises(logits_BV: NDArray[Any], targets_B: NDArray[Any]) -> NDArray[np.float64]:
    """Minus the log-probability (B,) of the targets."""
    shifted_BV = logits_BV - logits_BV.max(axis=-1, keepdims=True)
    total_B = np.exp(shifted_BV).sum(axis=-1, dtype=np.float64)
    own_B = np.take_along_axis(shifted_BV, targets_B[:, None], axis=-1)[:, 0]
    return np.asarray(np.log(total_B) - own_B.astype(np.float64))

"""Cross-entropy of a large vocabulary from the vectors before the head, without all logits at once.

In: vectors (N, C), the head's matrix, targets (N,). Out: the loss, with gradients for vectors and matrix that were
computed chunk by chunk together with it, so that the logits of one chunk of tokens exist at a time and none is kept
for the backward pass (Wijmans et al., 2024, arXiv:2411.09009, and Liger Kernel, arXiv:2410.10989, do so on GPUs).

Axes: N tokens, R tokens of a chunk, C channels, V vocabulary (padded).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from kgpt.model.ordering import in_turn

CHUNK_BYTES = 2**25
"""Of float32 logits at a time, while training."""
MEASURED_CHUNK_BYTES = 2**27
"""The same where no gradients take memory: each chunk reads the whole head, so larger ones are faster."""
SMALLEST_CHUNK = 256
"""Tokens of a chunk at least, however large the vocabulary: fewer make slow matrix products."""
NO_SCORE = -1e30
"""Logit of a row of the table that stands for no token."""


@dataclass(frozen=True)
class CrossEntropy:
    """How the loss of a token is computed from the vector before the head.

    loss = (1 - s) * nll + s * (mean over the vocabulary of -log p) + z * log(sum of exp(logits))**2, with label
    smoothing s (Szegedy et al., 2016, arXiv:1512.00567) and z-loss z (Chowdhery et al., 2022, arXiv:2204.02311).
    """

    vocabulary_size: int
    """Rows of the head's matrix that stand for tokens."""
    vocabulary_first: bool
    """Whether the matrix is (V, C), as a token embedding, or (C, V), as a dense layer's kernel."""
    label_smoothing: float = 0.0
    z_loss: float = 0.0

    def mean(self, x_NC: Any, head: Any, target_N: Any, weight_N: Any, chunk: int) -> Any:
        """Float32 sum of weight * loss over the sum of the weights; `chunk` tokens at a time.

        Products are in the type of `x_NC`; softmax, sums and the head's gradient in float32.
        """
        total = ops.maximum(ops.sum(weight_N), 1e-30)

        @ops.custom_gradient  # type: ignore[untyped-decorator]
        def loss_of(x_NC: Any, head: Any) -> Any:
            loss, dx_NC, dhead = self._loss_and_gradients(x_NC, head, target_N, weight_N, chunk)

            def gradients(*upstream: Any) -> Any:
                # Float16 would lose gradients divided by all tokens: they are divided here, in float32.
                factor = ops.cast(upstream[0], "float32") / total
                dx = ops.cast(ops.cast(dx_NC, "float32") * factor, x_NC.dtype)
                return dx, ops.cast(dhead * factor, head.dtype)

            return loss / total, gradients

        return loss_of(
            x_NC, ops.copy(head)
        )  # a tensor: TensorFlow forbids variables in there when eager

    def each(self, x_NC: Any, head: Any, target_N: Any, chunk: int) -> Any:
        """Float32 losses (N,), without gradients; `chunk` tokens at a time."""
        table = ops.cast(self._of_tokens(head), x_NC.dtype)
        parts = _in_chunks((x_NC, target_N), chunk)
        if parts is None:
            return self._losses(self._logits(x_NC, table), target_N)

        def one_chunk(carry: Any, part: Any) -> tuple[Any, Any]:
            x_RC, target_R = part
            return carry, self._losses(self._logits(x_RC, table), target_R)

        like = ops.zeros((chunk,), "float32")
        _, loss = in_turn(one_chunk, ops.zeros((), "float32"), parts, like)
        return ops.reshape(loss, (-1,))[: ops.shape(x_NC)[0]]

    def _of_tokens(self, head: Any) -> Any:
        """The head without the rows, or columns, that only fill it up: cheaper than to hide their logits."""
        if head.shape[0 if self.vocabulary_first else 1] == self.vocabulary_size:
            return head
        if self.vocabulary_first:
            return head[: self.vocabulary_size]
        return head[:, : self.vocabulary_size]

    def _losses(self, logits_RV: Any, target_R: Any) -> Any:
        """Losses (R,) for float32 logits of tokens alone."""
        highest_R1 = ops.max(logits_RV, axis=-1, keepdims=True)
        sum_R = ops.sum(ops.exp(logits_RV - highest_R1), axis=-1)
        log_sum_R = highest_R1[:, 0] + ops.log(sum_R)
        return self._loss(logits_RV, log_sum_R, target_R)

    def _loss(self, logits_RV: Any, log_sum_R: Any, target_R: Any) -> Any:
        s, z = self.label_smoothing, self.z_loss
        target_logit_R = ops.take_along_axis(logits_RV, target_R[:, None], axis=-1)[:, 0]
        loss_R = log_sum_R - (1.0 - s) * target_logit_R
        if s:
            is_token_V = ops.arange(logits_RV.shape[-1]) < self.vocabulary_size
            total_R = ops.sum(ops.where(is_token_V, logits_RV, 0.0), axis=-1)
            loss_R = loss_R - s * total_R / self.vocabulary_size
        return loss_R + z * ops.square(log_sum_R) if z else loss_R

    def _loss_and_gradients(
        self, x_NC: Any, head: Any, target_N: Any, weight_N: Any, chunk: int
    ) -> tuple[Any, Any, Any]:
        table = ops.cast(head, x_NC.dtype)
        parts = _in_chunks((x_NC, target_N, ops.cast(weight_N, "float32")), chunk)
        if parts is None:
            return self._chunk_gradients(x_NC, table, target_N, ops.cast(weight_N, "float32"))

        def one_chunk(sums: Any, part: Any) -> tuple[Any, Any]:
            loss_sum, dhead_sum = sums
            x_RC, target_R, weight_R = part
            loss, dx_RC, dhead = self._chunk_gradients(x_RC, table, target_R, weight_R)
            return (loss_sum + loss, dhead_sum + dhead), dx_RC

        start = (ops.zeros((), "float32"), ops.zeros(head.shape, "float32"))
        (loss, dhead), dx = in_turn(one_chunk, start, parts, ops.zeros_like(parts[0][0]))
        width = x_NC.shape[-1]
        return loss, ops.reshape(dx, (-1, width))[: ops.shape(x_NC)[0]], dhead

    def _chunk_gradients(
        self, x_RC: Any, table: Any, target_R: Any, weight_R: Any
    ) -> tuple[Any, Any, Any]:
        """Sum of the weighted losses, and its gradients: for the vectors (R, C), for the head in float32."""
        loss_R, dlogits_RV = self.from_logits(self._logits(x_RC, table), target_R)
        dlogits_RV = ops.cast(dlogits_RV * weight_R[:, None], x_RC.dtype)
        if self.vocabulary_first:
            dx_RC, dtable = (
                ops.matmul(dlogits_RV, table),
                ops.matmul(ops.transpose(dlogits_RV), x_RC),
            )
        else:
            dx_RC = ops.matmul(dlogits_RV, ops.transpose(table))
            dtable = ops.matmul(ops.transpose(x_RC), dlogits_RV)
        return ops.sum(loss_R * weight_R), dx_RC, ops.cast(dtable, "float32")

    def _logits(self, x_RC: Any, table: Any) -> Any:
        logits_RV = ops.matmul(x_RC, ops.transpose(table) if self.vocabulary_first else table)
        return ops.cast(logits_RV, "float32")

    def from_logits(self, logits_RV: Any, target_R: Any) -> tuple[Any, Any]:
        """Losses (R,) and their gradients (R, V) for float32 logits of the padded vocabulary."""
        size = logits_RV.shape[-1]
        is_token_V = ops.arange(size) < self.vocabulary_size
        if size != self.vocabulary_size:
            logits_RV = ops.where(is_token_V, logits_RV, NO_SCORE)
        if not self.label_smoothing and not self.z_loss and keras.backend.backend() == "tensorflow":
            from kgpt.model.cross_entropy_tensorflow import loss_and_gradient

            return loss_and_gradient(logits_RV, target_R)
        return self._from_logits(logits_RV, is_token_V, target_R)

    def _from_logits(self, logits_RV: Any, is_token_V: Any, target_R: Any) -> tuple[Any, Any]:
        s, z = self.label_smoothing, self.z_loss
        highest_R1 = ops.max(logits_RV, axis=-1, keepdims=True)
        weights_RV = ops.exp(logits_RV - highest_R1)
        sum_R1 = ops.sum(weights_RV, axis=-1, keepdims=True)
        log_sum_R = (highest_R1 + ops.log(sum_R1))[:, 0]
        factor_R1 = (1.0 + 2.0 * z * log_sum_R)[:, None] / sum_R1
        index_V = ops.arange(logits_RV.shape[-1], dtype=target_R.dtype)
        is_target_RV = index_V[None, :] == target_R[:, None]
        dlogits_RV = weights_RV * factor_R1 - ops.where(is_target_RV, 1.0 - s, 0.0)
        if s:
            dlogits_RV = dlogits_RV - ops.where(is_token_V, s / self.vocabulary_size, 0.0)
        return self._loss(logits_RV, log_sum_R, target_R), dlogits_RV


def _in_chunks(arrays: tuple[Any, ...], chunk: int) -> tuple[Any, ...] | None:
    """Each array (N, ...) as (chunks, chunk, ...), filled up with zeros; None where one chunk holds everything."""
    count = arrays[0].shape[0]
    if not chunk or (count is not None and count <= chunk):
        return None
    missing = -(ops.shape(arrays[0])[0] if count is None else count) % chunk
    parts = []
    for array in arrays:
        if count is None or missing:
            array = ops.pad(array, [(0, missing)] + [(0, 0)] * (len(array.shape) - 1))
        parts.append(ops.reshape(array, (-1, chunk, *array.shape[1:])))
    return tuple(parts)


def chunk_size(num_tokens: int, vocabulary_size: int, chunk_bytes: int = CHUNK_BYTES) -> int:
    """Tokens whose logits are made at once: chunks of equal size that hold about `chunk_bytes`."""
    most = max(SMALLEST_CHUNK, chunk_bytes // (4 * vocabulary_size))
    chunks = -(-num_tokens // most)
    return -(-num_tokens // chunks)


def cross_entropy_of(model: Any, label_smoothing: float = 0.0, z_loss: float = 0.0) -> CrossEntropy:
    """The cross-entropy that goes with a `GPT`'s `hidden_states` and `head_matrix`."""
    config = model.config
    return CrossEntropy(config.vocabulary_size, config.tied_head, label_smoothing, z_loss)

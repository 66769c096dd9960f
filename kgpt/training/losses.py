"""The model that is trained: a GPT whose step goes from token vectors to the loss without all the logits.

In: a configuration. Out: a `GPT` for `compile` and `fit`. Everybody else gets logits from it, as from any `GPT`.

Axes: B batch, T time, C channels, N tokens of a batch.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kgpt.model.cross_entropy import chunk_size, cross_entropy_of
from kgpt.model.gpt import GPT


class TrainedGPT(GPT):
    """A GPT that `fit` trains with a chunked cross-entropy.

    Called with `training=True` it gives the head's inputs (B, T, C) instead of logits, and `compute_loss` takes them
    from there. The loss is the mean over all tokens, weighted by `sample_weight` (B, T) where there is one. Where
    several texts share a row, the input is (ids, positions): see `GPT.hidden_states`.
    """

    def __init__(
        self,
        config: Any,
        *,
        tokens_at_once: int = 0,
        label_smoothing: float = 0.0,
        z_loss: float = 0.0,
        **kwargs: Any,
    ) -> None:
        """`tokens_at_once`: tokens of the batches to come, of which chunks are cut; 0 for a single chunk."""
        super().__init__(config, **kwargs)
        self._cross_entropy = cross_entropy_of(self, label_smoothing, z_loss)
        padded = self.config.padded_vocabulary_size
        self._chunk = chunk_size(tokens_at_once, padded) if tokens_at_once else 0
        self._mean = _Given(name="given")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Logits (B, T, V); in training, what they are made of (B, T, C)."""
        ids_BT, positions_BT = inputs if isinstance(inputs, (tuple, list)) else (inputs, None)
        x_BTC = self.hidden_states(ids_BT, training, positions_BT)
        return x_BTC if training else self.logits(x_BTC)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The mean loss of targets `y` (B, T), in training from vectors and else from logits."""
        target_N = ops.reshape(ops.cast(y, "int32"), (-1,))
        weight_N = ops.ones_like(target_N, dtype="float32")
        if sample_weight is not None:
            weight_BT = ops.broadcast_to(ops.cast(sample_weight, "float32"), ops.shape(y))
            weight_N = ops.reshape(weight_BT, (-1,))
        rows = ops.reshape(y_pred, (-1, y_pred.shape[-1]))
        if training:
            head = self.head_matrix
            loss = self._cross_entropy.mean(rows, head, target_N, weight_N, self._chunk)
        else:
            loss_N = keras.losses.sparse_categorical_crossentropy(target_N, rows, from_logits=True)
            loss = ops.sum(loss_N * weight_N) / ops.maximum(ops.sum(weight_N), 1e-30)
        return self._mean(None, loss[None])


class _Given(keras.losses.Loss):
    """A loss that is there already. Keras divides it where several devices add theirs up."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().__call__(y_pred, y_pred)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """What was given."""
        return y_pred

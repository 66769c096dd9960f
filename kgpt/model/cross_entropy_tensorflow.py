"""TensorFlow's fused softmax and cross-entropy: fewer passes over the logits, and no copies. See `cross_entropy`."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def loss_and_gradient(logits_RV: Any, target_R: Any) -> tuple[Any, Any]:
    """Negative log-likelihoods (R,) and their gradients for the float32 logits (R, V)."""
    loss_R, dlogits_RV = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(
        features=logits_RV, labels=target_R
    )
    return loss_R, dlogits_RV

"""The model that learns from preferences: direct preference optimisation (Rafailov et al., 2023, arXiv:2305.18290).

For a pair let m be how much more the model raises the chosen answer's log-likelihood above the base's than the rejected
one's. The loss is -log sigmoid(beta * m); with label smoothing s, -(1 - s) * log sigmoid(beta * m) - s * log
sigmoid(-beta * m), as for labels of which a share s is wrong (Mitchell, 2023, "A note on DPO with noisy preferences").

Axes: R rows, chosen and rejected in turns; P pairs; T time; V vocabulary.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from kgpt.model.gpt import GPT


class PreferenceGPT(GPT):
    """A GPT that `fit` trains on pairs."""

    def __init__(
        self, config: Any, *, beta: float = 0.1, label_smoothing: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(config, **kwargs)
        self.beta, self.label_smoothing = beta, label_smoothing

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Logits (R, T, V) of (ids, positions), or of ids."""
        ids_RT, positions_RT = inputs if isinstance(inputs, (tuple, list)) else (inputs, None)
        return self.logits(self.hidden_states(ids_RT, training, positions_RT))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The mean loss of the pairs in `y`: targets (R, T), their weights (R, T), the base's log-likelihoods (R,)."""
        target_RT, weight_RT, reference_R = y
        log_RTV = ops.log_softmax(ops.cast(y_pred, "float32"), axis=-1)
        log_RT = ops.take_along_axis(log_RTV, target_RT[..., None], axis=-1)[..., 0]
        gained_R = ops.sum(log_RT * weight_RT, axis=1) - reference_R
        gained_P2 = ops.reshape(gained_R, (-1, 2))
        margin_P = self.beta * (gained_P2[:, 0] - gained_P2[:, 1])
        s = self.label_smoothing
        loss_P = (1.0 - s) * ops.softplus(-margin_P) + s * ops.softplus(margin_P)
        is_pair_P = ops.cast(ops.reshape(ops.sum(weight_RT, axis=1), (-1, 2))[:, 0] > 0, "float32")
        return ops.sum(loss_P * is_pair_P) / ops.maximum(ops.sum(is_pair_P), 1.0)

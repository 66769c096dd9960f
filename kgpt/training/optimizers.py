"""AdamW and Muon in one Keras optimiser, with schedule, clipping, averaged weights and loss scaling.

In: an `OptimizerConfig` and the number of steps. Out: a `keras.optimizers.Optimizer` for `model.compile`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kgpt.config import OptimizerConfig
from kgpt.training.schedules import schedule_factor_tensor

# Newton-Schulz coefficients of Keller Jordan's Muon (2024, kellerjordan.github.io/posts/muon): five steps bring all
# singular values near 1.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)

INITIAL_LOSS_SCALE = 2.0**15
LOSS_SCALE_GROWTH_STEPS = 2000
"""Updates without an overflow after which the loss scale doubles (Micikevicius et al., 2018, arXiv:1710.03740)."""


def newton_schulz(gradient_MN: Any, steps: int = 5) -> Any:
    """The nearest semi-orthogonal matrix to `gradient_MN`, roughly: every singular value becomes about 1."""
    a, b, c = NEWTON_SCHULZ
    rows, columns = gradient_MN.shape
    x = ops.transpose(gradient_MN) if rows > columns else gradient_MN
    x = x / (ops.sqrt(ops.sum(ops.square(x))) + 1e-7)
    for _ in range(steps):
        gram = ops.matmul(x, ops.transpose(x))
        x = a * x + ops.matmul(b * gram + c * ops.matmul(gram, gram), x)
    return ops.transpose(x) if rows > columns else x


def _dense(gradient: Any) -> Any:
    """One value a weight. A looked-up table's gradient has a row for each look-up, which squares must not see."""
    if hasattr(gradient, "dense_shape"):
        return ops.add(ops.zeros(gradient.shape, gradient.dtype), gradient)
    return ops.convert_to_tensor(gradient)


@keras.saving.register_keras_serializable(package="kgpt")
class GPTOptimizer(keras.optimizers.Optimizer):
    """AdamW (arXiv:1711.05101), or Muon for the matrices inside the blocks and AdamW for everything else.

    Weight decay is decoupled and touches matrices only. Gradients are clipped by their global norm, which
    `gradient_norm` keeps (as it was before clipping). The number of steps is a variable, so that a time budget can fix
    it after training has begun.

    With `ema_decay`, `averages` follow the weights: average = d * average + (1 - d) * weight after each update, with
    d = min(ema_decay, (1 + n) / (10 + n)) at update n, so that the first weights are soon forgotten.

    With `scales_loss` (for float16) the loss is multiplied before the backward pass by a scale that halves when a
    gradient overflows and doubles after many that did not. An update whose gradients are not finite changes nothing
    but the scale and the count of `skipped_updates`.
    """

    def __init__(
        self,
        config: OptimizerConfig | dict[str, Any],
        total_steps: int,
        scales_loss: bool = False,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "gpt_optimizer")
        kwargs.pop("learning_rate", None)
        chosen = config if isinstance(config, OptimizerConfig) else OptimizerConfig(**config)
        super().__init__(learning_rate=chosen.learning_rate, **kwargs)
        self.config = chosen
        self._initial_steps, self.scales_loss = total_steps, scales_loss
        self.averages: list[Any] = []
        self._is_finite: Any = None

    def build(self, variables: list[Any]) -> None:
        """Create momentum (and, for AdamW, variance) for each variable."""
        if self.built:
            return
        super().build(variables)
        # `update_step` meets the backend's own variables, which have no path: note by index what needs it.
        self._muon = [self.uses_muon(variable) for variable in variables]
        self._peaks = [self.peak_learning_rate(variable) for variable in variables]
        self.momentum = [self.add_variable_from_reference(v, name="momentum") for v in variables]
        self.variance = [
            None if self.uses_muon(v) else self.add_variable_from_reference(v, name="variance")
            for v in variables
        ]
        self.gradient_norm = self.add_variable(
            (), initializer="zeros", dtype="float32", name="gradient_norm"
        )
        self.total_steps = self.add_variable(
            (), initializer="zeros", dtype="float32", name="total_steps"
        )
        self.total_steps.assign(float(self._initial_steps))
        if self.config.ema_decay:
            self.averages = [self.add_variable_from_reference(v, name="average") for v in variables]
            for average, variable in zip(self.averages, variables, strict=True):
                average.assign(ops.copy(variable))  # not the very buffer: JAX gives each away once
        if self.scales_loss:
            self.loss_scale = self._scalar("float32", "loss_scale", INITIAL_LOSS_SCALE)
            self.updates_since_scaling = self._scalar("int32", "updates_since_scaling", 0)
            self.skipped_updates = self._scalar("int32", "skipped_updates", 0)

    def uses_muon(self, variable: Any) -> bool:
        """Whether Muon updates this variable: a matrix inside a block."""
        return (
            self.config.name == "muon" and len(variable.shape) == 2 and "/block_" in variable.path
        )

    def peak_learning_rate(self, variable: Any) -> float:
        """Highest learning rate that the schedule reaches for this variable."""
        c = self.config
        if self.uses_muon(variable):
            return c.muon_learning_rate
        is_embedding = "token_embedding" in variable.path or "/head/" in variable.path
        return (is_embedding and c.embedding_learning_rate) or c.learning_rate

    def scale_loss(self, loss: Any) -> Any:
        """The loss that the backward pass starts from."""
        return loss * ops.cast(self.loss_scale, loss.dtype) if self.scales_loss else loss

    def apply(self, grads: list[Any], trainable_variables: list[Any] | None = None) -> Any:
        """Note the global norm, clip, then update."""
        with keras.name_scope(self.name):
            if not self.built:
                self.build(trainable_variables or [])
        self.apply_clipped(*self.clipped(grads), trainable_variables)

    def clipped(self, grads: list[Any]) -> tuple[list[Any], Any]:
        """The gradients of the loss, scaled down to the greatest norm allowed, and the norm that they had."""
        grads = [_dense(gradient) for gradient in grads]
        if self.scales_loss:
            factor = 1.0 / ops.convert_to_tensor(self.loss_scale)
            grads = [gradient * ops.cast(factor, gradient.dtype) for gradient in grads]
        norm = ops.sqrt(sum(ops.sum(ops.square(ops.cast(g, "float32"))) for g in grads))
        if self.config.clip_norm:
            scale = ops.minimum(1.0, self.config.clip_norm / (norm + 1e-6))
            grads = [gradient * ops.cast(scale, gradient.dtype) for gradient in grads]
        return grads, norm

    def apply_clipped(
        self,
        grads: list[Any],
        norm: Any,
        trainable_variables: list[Any] | None = None,
        update: Callable[..., Any] | None = None,
    ) -> None:
        """Update by what `clipped` gives; `update(grads, variables)` in the place of Keras' own way to do it."""
        self.gradient_norm.assign(norm)
        if self.scales_loss:
            self._is_finite = ops.isfinite(norm)
        (update or super().apply)(grads, trainable_variables)
        if self.scales_loss:
            self._adapt_loss_scale(self._is_finite)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One update of one variable."""
        c, index = self.config, self._get_variable_index(variable)
        step = ops.cast(self.iterations, "float32")
        total = ops.convert_to_tensor(self.total_steps)
        rate = self._peaks[index] * schedule_factor_tensor(c, step, total)
        gradient = ops.cast(gradient, variable.dtype)
        if self._muon[index]:
            change = self._muon_direction(gradient, self.momentum[index], variable.shape)
        else:
            momentum, variance = self.momentum[index], self.variance[index]
            change = self._adam_direction(gradient, momentum, variance, self._updates(step))
        if c.weight_decay and len(variable.shape) == 2:
            change = change + c.weight_decay * variable
        updated = variable - rate * change
        if c.ema_decay:
            decay = ops.minimum(c.ema_decay, (1.0 + step) / (10.0 + step))
            average = self.averages[index]
            self._set(average, average + (1.0 - decay) * (updated - average))
        self._set(variable, updated)

    def _updates(self, step: Any) -> Any:
        """Updates that the moments have seen, as a float."""
        return step - ops.cast(self.skipped_updates, "float32") if self.scales_loss else step

    def _set(self, variable: Any, value: Any) -> None:
        """Assign, unless the gradients have overflowed."""
        if self.scales_loss:
            value = ops.where(self._is_finite, value, variable)
        self.assign(variable, value)

    def _adapt_loss_scale(self, is_finite: Any) -> None:
        scale = ops.convert_to_tensor(self.loss_scale)
        since = ops.where(is_finite, self.updates_since_scaling + 1, 0)
        grows = since >= LOSS_SCALE_GROWTH_STEPS
        kept = ops.where(grows, scale * 2.0, scale)
        self.loss_scale.assign(ops.where(is_finite, kept, scale * 0.5))
        self.updates_since_scaling.assign(ops.where(grows, 0, since))
        self.skipped_updates.assign(
            self.skipped_updates + ops.cast(ops.logical_not(is_finite), "int32")
        )

    def _scalar(self, dtype: str, name: str, value: float) -> Any:
        variable = self.add_variable((), initializer="zeros", dtype=dtype, name=name)
        variable.assign(value)
        return variable

    def _muon_direction(self, gradient: Any, momentum: Any, shape: tuple[int, int]) -> Any:
        mu = self.config.muon_momentum
        updated = mu * momentum + (1.0 - mu) * gradient
        self._set(momentum, updated)
        nesterov = mu * updated + (1.0 - mu) * gradient
        return newton_schulz(nesterov) * math.sqrt(max(1.0, shape[1] / shape[0]))

    def _adam_direction(self, gradient: Any, momentum: Any, variance: Any, step: Any) -> Any:
        c = self.config
        m = c.beta_1 * momentum + (1.0 - c.beta_1) * gradient
        v = c.beta_2 * variance + (1.0 - c.beta_2) * ops.square(gradient)
        self._set(momentum, m)
        self._set(variance, v)
        m_hat = m / (1.0 - ops.power(c.beta_1, step + 1.0))
        v_hat = v / (1.0 - ops.power(c.beta_2, step + 1.0))
        return m_hat / (ops.sqrt(v_hat) + c.epsilon)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            "config": dataclasses.asdict(self.config),
            "total_steps": self._initial_steps,
            "scales_loss": self.scales_loss,
            "name": self.name,
        }

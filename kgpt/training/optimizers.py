"""AdamW and Muon in one Keras optimiser, with its learning-rate schedule and the global gradient norm.

In: an `OptimizerConfig` and the number of steps. Out: a `keras.optimizers.Optimizer` for `model.compile`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import keras
from keras import ops

from kgpt.config import OptimizerConfig

# Newton-Schulz coefficients of Keller Jordan's Muon (2024, kellerjordan.github.io/posts/muon): five steps bring all
# singular values near 1.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def schedule_factor(config: OptimizerConfig, step: int, total_steps: int) -> float:
    """Share of the peak learning rate at `step` (0 is the first): warm-up, plateau, decay. A plain number."""
    return float(_factor(config, float(step), float(total_steps), _PLAIN))


class _Plain:
    """`keras.ops` for Python numbers, so that schedule and log share one formula."""

    minimum, maximum, cos = staticmethod(min), staticmethod(max), staticmethod(math.cos)


_PLAIN = _Plain()


def _factor(config: OptimizerConfig, step: Any, total: Any, math_ops: Any) -> Any:
    warmup = math_ops.minimum(1.0, (step + 1.0) / max(1.0, float(config.warmup_steps)))
    decay_steps = math_ops.maximum(1.0, (total - config.warmup_steps) * config.decay_fraction)
    left = math_ops.minimum(1.0, math_ops.maximum(0.0, (total - step) / decay_steps))
    shape = left if config.schedule == "linear" else 0.5 - 0.5 * math_ops.cos(math.pi * left)
    return warmup * (config.final_fraction + (1.0 - config.final_fraction) * shape)


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


@keras.saving.register_keras_serializable(package="kgpt")
class GPTOptimizer(keras.optimizers.Optimizer):
    """AdamW (arXiv:1711.05101), or Muon for the matrices inside the blocks and AdamW for everything else.

    Weight decay is decoupled and touches matrices only. Gradients are clipped by their global norm, which
    `gradient_norm` keeps (as it was before clipping). The number of steps is a variable, so that a time budget can fix
    it after training has begun.
    """

    def __init__(
        self, config: OptimizerConfig | dict[str, Any], total_steps: int, **kwargs: Any
    ) -> None:
        kwargs.setdefault("name", "gpt_optimizer")
        kwargs.pop("learning_rate", None)
        chosen = config if isinstance(config, OptimizerConfig) else OptimizerConfig(**config)
        super().__init__(learning_rate=chosen.learning_rate, **kwargs)
        self.config = chosen
        self._initial_steps = total_steps

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

    def apply(self, grads: list[Any], trainable_variables: list[Any] | None = None) -> Any:
        """Note the global norm, clip, then update."""
        grads = [ops.convert_to_tensor(gradient) for gradient in grads]
        with keras.name_scope(self.name):
            if not self.built:
                self.build(trainable_variables or [])
        norm = ops.sqrt(sum(ops.sum(ops.square(ops.cast(g, "float32"))) for g in grads))
        self.gradient_norm.assign(norm)
        if self.config.clip_norm:
            scale = ops.minimum(1.0, self.config.clip_norm / (norm + 1e-6))
            grads = [gradient * ops.cast(scale, gradient.dtype) for gradient in grads]
        return super().apply(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One update of one variable."""
        c, index = self.config, self._get_variable_index(variable)
        step = ops.cast(self.iterations, "float32")
        rate = self._peaks[index] * _factor(c, step, ops.convert_to_tensor(self.total_steps), ops)
        gradient = ops.cast(gradient, variable.dtype)
        if self._muon[index]:
            change = self._muon_direction(gradient, self.momentum[index], variable.shape)
        else:
            change = self._adam_direction(
                gradient, self.momentum[index], self.variance[index], step
            )
        if c.weight_decay and len(variable.shape) == 2:
            change = change + c.weight_decay * variable
        self.assign_sub(variable, rate * change)

    def _muon_direction(self, gradient: Any, momentum: Any, shape: tuple[int, int]) -> Any:
        mu = self.config.muon_momentum
        updated = mu * momentum + (1.0 - mu) * gradient
        self.assign(momentum, updated)
        nesterov = mu * updated + (1.0 - mu) * gradient
        return newton_schulz(nesterov) * math.sqrt(max(1.0, shape[1] / shape[0]))

    def _adam_direction(self, gradient: Any, momentum: Any, variance: Any, step: Any) -> Any:
        c = self.config
        m = c.beta_1 * momentum + (1.0 - c.beta_1) * gradient
        v = c.beta_2 * variance + (1.0 - c.beta_2) * ops.square(gradient)
        self.assign(momentum, m)
        self.assign(variance, v)
        m_hat = m / (1.0 - ops.power(c.beta_1, step + 1.0))
        v_hat = v / (1.0 - ops.power(c.beta_2, step + 1.0))
        return m_hat / (ops.sqrt(v_hat) + c.epsilon)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            "config": dataclasses.asdict(self.config),
            "total_steps": self._initial_steps,
            "name": self.name,
        }

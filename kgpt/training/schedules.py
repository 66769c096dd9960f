"""Learning-rate schedules: the share of the peak rate at any step, as a plain number or as a tensor.

In: an `OptimizerConfig`, a step and the number of steps, both counted in updates of the weights. Out: a factor.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from kgpt.config import OptimizerConfig

DECAY_FRACTIONS = {"cosine": 1.0, "linear": 1.0, "wsd": 0.2}
"""Share of the steps after the warm-up over which the rate falls, where the configuration leaves it open."""


class _Plain:
    """`keras.ops` for Python numbers, so that schedule and log share one formula."""

    minimum, maximum = staticmethod(min), staticmethod(max)
    cos, sqrt, floor = staticmethod(math.cos), staticmethod(math.sqrt), staticmethod(math.floor)


def schedule_factor(config: OptimizerConfig, step: int, total_steps: int) -> float:
    """Share of the peak learning rate at `step` (0 is the first): warm-up, plateau, decay. A plain number."""
    return float(_factor(config, float(step), float(total_steps), _Plain))


def schedule_factor_tensor(config: OptimizerConfig, step: Any, total_steps: Any) -> Any:
    """The same for tensors."""
    return _factor(config, step, total_steps, ops)


def decay_start(config: OptimizerConfig, total_steps: int) -> int:
    """First step at which the rate lies below its peak; the steps before it do not depend on `total_steps`."""
    return max(0, int(total_steps - _decay_steps(config, float(total_steps), _Plain)))


def _factor(config: OptimizerConfig, step: Any, total: Any, math_ops: Any) -> Any:
    warmup = math_ops.minimum(1.0, (step + 1.0) / max(1.0, float(config.warmup_steps)))
    decay_steps = _decay_steps(config, total, math_ops)
    left = math_ops.minimum(1.0, math_ops.maximum(0.0, (total - step) / decay_steps))
    if config.schedule == "linear":
        shape = left
    elif config.schedule == "cosine":
        shape = 0.5 - 0.5 * math_ops.cos(math.pi * left)
    else:  # Hägele et al., 2024, arXiv:2405.18392: one minus a square root ends lower than a line
        shape = 1.0 - math_ops.sqrt(1.0 - left)
    return warmup * (config.final_fraction + (1.0 - config.final_fraction) * shape)


def _decay_steps(config: OptimizerConfig, total: Any, math_ops: Any) -> Any:
    fraction = config.decay_fraction or DECAY_FRACTIONS[config.schedule]
    return math_ops.maximum(1.0, math_ops.floor((total - config.warmup_steps) * fraction))

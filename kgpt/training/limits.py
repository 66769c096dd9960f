"""How long a run is: a number of steps that may change on the way, and what a time budget makes of it.

In: the configuration and the pace of the steps. Out: the number of steps in force at any step, from the configuration
alone, so that a resumed or repeated run has the learning rates of the first.
"""

from __future__ import annotations

import dataclasses

from kgpt.config import TrainConfig

TIMING_STEPS = 20
"""Steps after which a time budget becomes a number of steps, if they took long enough to be timed."""
TIMING_SHARE = 0.02
"""Share of the budget that is spent before it becomes a number of steps."""
TIMING_MOST = 0.3
"""Share of the budget after which it becomes a number of steps even if few were timed."""
CHECKS = 10
"""How often in a run it is looked at whether the steps left still fit into the budget."""
SLACK = 1.02
"""A run may be this much over its budget before steps are taken away."""


def steps_in_force(config: TrainConfig, step: int) -> int:
    """Number of steps of the whole run, as it stood when `step` steps were done."""
    known = [steps for start, steps in _changes(config) if start <= step]
    return known[-1] if known else config.steps


def next_change(config: TrainConfig, step: int) -> int | None:
    """The first step after `step` at which the number of steps changes, where that is known already."""
    return min((start for start, _ in _changes(config) if start > step), default=None)


def with_steps(config: TrainConfig, at_step: int, steps: int) -> TrainConfig:
    """The configuration of a run that has `steps` steps in all from `at_step` on, and remembers what was before."""
    before = [(0, steps_in_force(config, 0)), *_changes(config)]
    kept = {start: total for start, total in before if start < at_step}
    changes = tuple(f"{start}:{total}" for start, total in {**kept, at_step: steps}.items())
    return dataclasses.replace(config, steps=steps, step_changes=changes if at_step else ())


def _changes(config: TrainConfig) -> list[tuple[int, int]]:
    pairs = (change.split(":") for change in config.step_changes)
    return sorted((int(start), int(steps)) for start, steps in pairs)


@dataclasses.dataclass(frozen=True)
class Pace:
    """How fast a run goes."""

    seconds: float
    """Seconds that the run has taken."""
    step_seconds: float
    """Of a training step."""
    evaluation_seconds: float
    """Of an evaluation with its samples and its checkpoint."""


def is_timed(config: TrainConfig, step: int, pace: Pace) -> bool:
    """Whether enough steps were timed for a budget to become a number of them, or too much of it is gone to wait."""
    share = pace.seconds / (60 * config.minutes)
    return (step >= TIMING_STEPS and share >= TIMING_SHARE) or share >= TIMING_MOST


def check_every(config: TrainConfig) -> int:
    """Steps between two looks at whether the rest fits into the minutes."""
    return max(1, config.steps // CHECKS)


def steps_within(config: TrainConfig, step: int, pace: Pace) -> int:
    """The steps in all that a run can have within its minutes, one more than `step` at least."""
    left = config.minutes * 60 - pace.seconds - pace.evaluation_seconds  # the last one
    each = pace.step_seconds + pace.evaluation_seconds / config.evaluate_every
    return min(config.steps, step + max(1, int(left / each)))


def steps_within_if_slower(config: TrainConfig, step: int, pace: Pace) -> int | None:
    """Fewer steps than the configuration has, where they would take longer than the minutes allow."""
    evaluations = (config.steps - step) // config.evaluate_every + 1
    expected = (config.steps - step) * pace.step_seconds + evaluations * pace.evaluation_seconds
    if pace.seconds + expected <= config.minutes * 60 * SLACK:
        return None
    fewer = steps_within(config, step, pace)
    return fewer if fewer < config.steps else None

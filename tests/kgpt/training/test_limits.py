"""How long a run is. Nothing here loads Keras."""

from __future__ import annotations

import dataclasses

import pytest

from kgpt.config import TrainConfig
from kgpt.errors import KgptError
from kgpt.training.limits import (
    Pace,
    check_every,
    is_timed,
    next_change,
    steps_in_force,
    steps_within,
    steps_within_if_slower,
    with_steps,
)

CONFIG = TrainConfig(steps=1000, minutes=1.0, evaluate_every=100)


def test_a_run_remembers_how_many_steps_it_had():
    config = with_steps(with_steps(CONFIG, 20, 500), 300, 400)
    assert config.step_changes == ("0:1000", "20:500", "300:400") and config.steps == 400
    assert [steps_in_force(config, step) for step in (0, 19, 20, 299, 300, 399)] == [
        1000, 1000, 500, 500, 400, 400,
    ]  # fmt: skip
    assert [next_change(config, step) for step in (0, 19, 20, 300)] == [20, 20, 300, None]
    assert steps_in_force(CONFIG, 7) == 1000 and next_change(CONFIG, 7) is None


def test_a_change_replaces_those_behind_it():
    config = with_steps(with_steps(CONFIG, 20, 500), 300, 400)
    again = with_steps(config, 100, 2000)
    assert again.step_changes == ("0:1000", "20:500", "100:2000") and again.steps == 2000
    assert with_steps(config, 0, 70).step_changes == ()


@pytest.mark.parametrize("change", ["20", "a:b", "20:0", "20:-1", " 20:5"])
def test_changes_are_checked(change):
    with pytest.raises(KgptError, match="step_changes"):
        dataclasses.replace(CONFIG, step_changes=(change,))


def test_minutes_become_steps():
    pace = Pace(seconds=10.0, step_seconds=0.1, evaluation_seconds=5.0)
    # 60 s: 10 spent, 5 for the last evaluation, 0.15 a step with its share of the others (rounded down)
    assert steps_within(CONFIG, 20, pace) == 20 + 299
    assert steps_within(dataclasses.replace(CONFIG, steps=100), 20, pace) == 100
    assert steps_within(CONFIG, 20, dataclasses.replace(pace, seconds=100.0)) == 21


def test_minutes_become_steps_once_enough_are_timed_or_much_is_gone():
    pace = Pace(seconds=2.0, step_seconds=0.1, evaluation_seconds=5.0)
    assert is_timed(CONFIG, 20, pace) and not is_timed(CONFIG, 19, pace)
    assert not is_timed(CONFIG, 20, dataclasses.replace(pace, seconds=1.0))
    assert is_timed(CONFIG, 5, dataclasses.replace(pace, seconds=19.0))
    assert check_every(CONFIG) == 100 and check_every(dataclasses.replace(CONFIG, steps=4)) == 1


def test_steps_are_taken_away_only_where_they_do_not_fit():
    config = dataclasses.replace(CONFIG, steps=300)
    fast = Pace(seconds=20.0, step_seconds=0.15, evaluation_seconds=2.0)
    assert steps_within_if_slower(config, 100, fast) is None  # 20 + 30 + 3 evaluations of 2 s
    slow = dataclasses.replace(fast, step_seconds=0.3)
    assert steps_within_if_slower(config, 100, slow) == 100 + int((60 - 20 - 2) / 0.32)

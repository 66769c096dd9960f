from __future__ import annotations

import re

import pytest

from kgpt.commands.progress import TrainingDisplay, duration, loss_curve
from kgpt.config import UNLIMITED_STEPS

TRAIN = [{"step": step, "train_loss": 6 - step / 100} for step in range(10, 401, 10)]
VALIDATION = [{"step": step, "validation_loss": 5 - step / 200} for step in (100, 200, 300, 400)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (5.4, "0:05"),
        (75, "1:15"),
        (3599.6, "1:00:00"),
        (4000, "1:06:40"),
        (-1, "0:00"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_the_curve_falls_from_the_upper_left_to_the_lower_right():
    lines = [
        line for line in loss_curve(TRAIN).splitlines() if re.match(r" *-?\d+\.\d\d \|.", line)
    ]
    drawn = [
        [place for place, character in enumerate(line.split("|")[1]) if character not in " ⠀"]
        for line in lines
    ]
    drawn = [places for places in drawn if places]
    assert len(drawn) >= 15
    assert drawn[0][0] < 5 and drawn[-1][-1] > 50
    assert all(above[0] < below[0] for above, below in zip(drawn, drawn[1:], strict=False))


def test_the_axes_are_tidy():
    curve = loss_curve(TRAIN + VALIDATION, width=50, height=8)
    labels = [line.split("|")[0].strip() for line in curve.splitlines() if " |" in line][:-1]
    assert labels[0] == "5.90" and labels[-1] == "2.00"
    assert all(re.fullmatch(r"\d\.\d\d", label) for label in labels)
    steps = curve.split("(step)")[1].splitlines()[1].split("|")[1].split()
    assert steps[0] == "0" and all(re.fullmatch(r"[\d,]+", step) for step in steps)
    assert "(step)" in curve and "(loss)" in curve
    assert max(map(len, loss_curve(TRAIN).splitlines())) <= 80


def test_both_losses_are_named():
    assert "training" in loss_curve(TRAIN) and "validation" not in loss_curve(TRAIN)
    both = loss_curve(TRAIN + VALIDATION)
    assert "training" in both and "validation" in both
    assert both.split("Legend")[0] != loss_curve(TRAIN).split("Legend")[0]


def test_what_cannot_be_drawn_is_left_out():
    strange = [
        {"step": 15, "train_loss": None},
        {"step": 25, "train_loss": float("nan")},
        {"step": 35},
    ]
    assert loss_curve(TRAIN + strange) == loss_curve(TRAIN)
    assert loss_curve([]) == loss_curve(TRAIN[:1]) == loss_curve(strange) == ""


def test_a_flat_curve_is_drawn():
    assert "3.00" in loss_curve([{"step": 1, "train_loss": 3.0}, {"step": 2, "train_loss": 3.0}])


def row(step: int, **more) -> dict:
    return {"step": step, "train_loss": 2.5, "tokens_per_second": 1234.5, **more}


def test_on_a_pipe_lines_come_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr("kgpt.commands.progress.LINE_SECONDS", 0.0)
    with TrainingDisplay() as display:
        display.message("a message with [brackets] and [/slashes]")
        display.row(row(10), 1000)
        display.row(
            {"step": 10, "validation_loss": 2.25, "bits_per_byte": 1.125, "is_best": True}, 1000
        )
        display.row(row(20), 1000)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "a message with [brackets] and [/slashes]"
    assert lines[1] == "step 10/1,000  loss 2.500  1,234 tokens/s"
    assert lines[2] == "step 10  validation loss 2.2500  1.125 bits per byte  best so far"
    assert re.fullmatch(
        r"step 20/1,000  loss 2.500  validation 2.250  1,234 tokens/s  \d+:\d\d left", lines[3]
    )


def test_a_display_that_starts_again_forgets_the_run_before(capsys, monkeypatch):
    monkeypatch.setattr("kgpt.commands.progress.LINE_SECONDS", 0.0)
    with TrainingDisplay() as display:
        display.row(row(90), 1000)
        display.row({"step": 90, "validation_loss": 2.25, "bits_per_byte": 1.125}, 1000)
        display.row(row(10), 1000)
    assert capsys.readouterr().err.splitlines()[-1] == "step 10/1,000  loss 2.500  1,234 tokens/s"


def test_a_pipe_is_not_flooded_and_sees_the_end(capsys):
    with TrainingDisplay() as display:
        for step in range(1, 101):
            display.row(row(step), 100)
    steps = [line.split()[1] for line in capsys.readouterr().err.splitlines()]
    assert steps == ["1/100", "100/100"]


def test_without_a_last_step_there_is_no_time_left(capsys, monkeypatch):
    monkeypatch.setattr("kgpt.commands.progress.LINE_SECONDS", 0.0)
    with TrainingDisplay() as display:
        display.row(row(10), UNLIMITED_STEPS)
        display.row(row(20), UNLIMITED_STEPS)
    assert "left" not in capsys.readouterr().err


def test_a_first_row_without_a_speed(capsys):
    with TrainingDisplay() as display:
        display.row(row(1, tokens_per_second=None), 5)
    assert capsys.readouterr().err == "step 1/5  loss 2.500\n"

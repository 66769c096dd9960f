"""Accuracies counted by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from kgpt.evaluation.questions import Question, answer


@dataclass(frozen=True)
class Said:
    log_likelihood: float
    is_greedy: bool = False
    lost: int = 0


def test_choices_alone_and_a_byte():
    questions = [
        Question("A", ("sim", "não sei"), 0),
        Question("B", ("sim", "não sei"), 1),
        Question("C", ("um", "dois", "três"), 2),
    ]
    scores = [Said(-3.0), Said(-4.0), Said(-3.0), Said(-4.0, lost=2), Said(-1), Said(-2), Said(-9)]
    asked: list[object] = []

    def score(pairs, groups):
        asked.extend([pairs, groups])
        return scores

    answers = answer(questions, score)
    assert asked[0][:3] == [("A", " sim"), ("A", " não sei"), ("B", " sim")]
    assert asked[1] == [0, 0, 1, 1, 2, 2, 2]
    # a byte: -3/3 and -4/8 ("ã" has two), so the longer one; for C -1/2, -2/4 and -9/5
    assert answers.values["accuracy"] == pytest.approx(1 / 3)
    assert answers.values["accuracy_norm"] == pytest.approx(1 / 3)
    assert answers.figures["accuracy"].amounts.tolist() == [1, 0, 0]
    assert answers.figures["accuracy_norm"].amounts.tolist() == [0, 1, 0]
    assert answers.values["cut_contexts"] == 1
    assert answers.values["accuracy_error"] == pytest.approx(math.sqrt(2 / 9 / 2))


def test_last_words():
    questions = [Question("a", ("b",)), Question("c", ("d",)), Question("e", ("f",))]
    scores = [Said(-1.0, True), Said(-2.0), Said(-6.0)]
    values = answer(questions, lambda pairs, groups: scores).values
    assert values["accuracy"] == pytest.approx(1 / 3)
    assert values["perplexity"] == pytest.approx(math.exp(3))
    error = math.sqrt((4 + 1 + 9) / 2 / 3)
    assert values["loss_error"] == pytest.approx(error)
    assert values["perplexity_error"] == pytest.approx(math.exp(3) * error)
    assert "cut_contexts" not in values and "by_subset" not in values


def test_subsets_count_the_same():
    questions = [Question("", ("a", "b"), subset=name) for name in ("x", "x", "x", "y", "y")]
    right, wrong = (Said(-1), Said(-2)), (Said(-2), Said(-1))
    scores = [*right, *right, *right, *right, *wrong]
    values = answer(questions, lambda pairs, groups: scores).values
    assert values["accuracy"] == pytest.approx((1 + 0.5) / 2)
    assert (
        values["by_subset"]["x"]["accuracy"] == 1.0 and values["by_subset"]["x"]["questions"] == 3
    )
    assert values["by_subset"]["y"]["accuracy"] == 0.5

"""Questions with choices, and texts whose last word is asked for: scored by how likely the model holds them.

In: questions and a scorer. Out: accuracies, and for last words perplexity, each with its standard error, by subset.
`accuracy` takes the choice of highest log-likelihood, `accuracy_norm` that of highest log-likelihood a byte of the
choice (what `lm-eval` calls acc and acc_bytes; its acc_norm divides by characters, which are bytes in plain English).
Loads neither Keras nor TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from kgpt.evaluation.statistics import Figure


@dataclass(frozen=True)
class Question:
    """A context and what may follow it. One choice alone is a last word: it is right if greedy decoding writes it."""

    context: str
    choices: tuple[str, ...]
    """Without the space that parts them from the context."""
    answer: int = 0
    """The number of the right choice, from 0 on."""
    subset: str = ""
    """The part of the test it belongs to, in tests that have several."""


class Scored(Protocol):
    """A continuation's score; `kgpt.evaluation.likelihood.Score` is one."""

    @property
    def log_likelihood(self) -> float:
        """In nats."""

    @property
    def is_greedy(self) -> bool:
        """Whether greedy decoding writes it."""

    @property
    def lost(self) -> int:
        """Tokens of the context that did not fit."""


ScoreTexts = Callable[[Sequence[tuple[str, str]], Sequence[Hashable]], Sequence[Scored]]
"""Pairs of context and continuation, and the group of each, to scores."""


@dataclass(frozen=True)
class Answers:
    """What a model made of a test."""

    values: dict[str, Any]
    """For JSON."""
    figures: dict[str, Figure]
    """For comparing models on the same questions."""


def answer(questions: Sequence[Question], score: ScoreTexts) -> Answers:
    """Score every choice of every question; all questions have one choice, or all have several."""
    pairs = [(item.context, " " + choice) for item in questions for choice in item.choices]
    groups = [number for number, item in enumerate(questions) for _ in item.choices]
    scores = iter(score(pairs, groups))
    by_question = [[next(scores) for _ in item.choices] for item in questions]
    measure = _last_words if len(questions[0].choices) == 1 else _choices
    columns = measure(questions, by_question)
    names = sorted({item.subset for item in questions})
    strata = [names.index(item.subset) for item in questions]
    figures = {
        name: Figure.of(column, strata=strata, higher_is_better=name != "loss")
        for name, column in columns.items()
    }
    cut = sum(any(item.lost for item in found) for found in by_question)
    values = {"questions": len(questions), **_values(figures)}
    if cut:
        values["cut_contexts"] = cut
    if len(names) > 1:
        values["by_subset"] = _by_subset(names, columns, np.asarray(strata))
    return Answers(values, figures)


def _choices(
    questions: Sequence[Question], scores: Sequence[Sequence[Scored]]
) -> dict[str, list[float]]:
    right, right_a_byte = [], []
    for item, found in zip(questions, scores, strict=True):
        nats = np.array([score.log_likelihood for score in found])
        sizes = np.array([len(choice.encode()) for choice in item.choices])
        right.append(float(np.argmax(nats) == item.answer))
        right_a_byte.append(float(np.argmax(nats / sizes) == item.answer))
    return {"accuracy": right, "accuracy_norm": right_a_byte}


def _last_words(
    questions: Sequence[Question], scores: Sequence[Sequence[Scored]]
) -> dict[str, list[float]]:
    return {
        "accuracy": [float(found[0].is_greedy) for found in scores],
        "loss": [-found[0].log_likelihood for found in scores],
    }


def _values(figures: dict[str, Figure]) -> dict[str, Any]:
    """Each figure and its error. The perplexity of last words is exp(loss), its error exp(loss) times the loss's."""
    values: dict[str, Any] = {}
    for name, figure in figures.items():
        values[name], values[f"{name}_error"] = figure.value, figure.standard_error
    if "loss" in values:
        perplexity, error = math.exp(min(values["loss"], 700.0)), values["loss_error"]
        values["perplexity"] = perplexity
        values["perplexity_error"] = None if error is None else perplexity * error
    return values


def _by_subset(names: list[str], columns: dict[str, list[float]], strata: Any) -> dict[str, Any]:
    found = {}
    for number, name in enumerate(names):
        chosen = strata == number
        figures = {key: Figure.of(np.asarray(column)[chosen]) for key, column in columns.items()}
        found[name] = {"questions": int(chosen.sum()), **_values(figures)}
    return found

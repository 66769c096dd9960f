"""Sampling against the definitions of transformers, written once more in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kgpt.errors import KgptError, KgptFailure
from kgpt.inference.sampling import choose, distribution, most_probable, repeating, top
from kgpt.protocol import GenerateOptions

NUMBERS = np.random.default_rng(7)
LOGITS = [NUMBERS.normal(0, 3, 60).astype(np.float32) for _ in range(6)]
SEEN = (3, 17, 40, 3, 17, 5, 5, 3, 17)
GENERATED = 5


def options(**values) -> GenerateOptions:
    return GenerateOptions(**{"temperature": 1.0, **values})


def reference(logits, o: GenerateOptions, seen) -> list[float]:
    """Each processor as its definition says, on a list, removing tokens by setting them to minus infinity."""
    scores = [float(score) for score in logits]
    for token, added in o.logit_bias.items():
        scores[token] += added
    for token in set(seen):
        positive = scores[token] > 0
        scores[token] *= 1 / o.repetition_penalty if positive else o.repetition_penalty
    for token in seen[len(seen) - GENERATED :]:
        scores[token] -= o.frequency_penalty
    for token in set(seen[len(seen) - GENERATED :]):
        scores[token] -= o.presence_penalty
    n = o.no_repeat_ngram_size
    grams = {tuple(seen[i : i + n]) for i in range(len(seen) - n + 1)} if n else set()
    for token in range(len(scores)):
        last = tuple(seen[len(seen) - n + 1 :]) if n else ()
        if token in o.forbidden or (*last, token) in grams:
            scores[token] = -math.inf
    scores = [score / o.temperature for score in scores]
    if o.top_k:
        kth = sorted(scores, reverse=True)[min(o.top_k, len(scores)) - 1]
        scores = [score if score >= kth else -math.inf for score in scores]
    if o.top_p < 1:
        probabilities, below = plain_softmax(scores), 0.0
        ascending = sorted(range(len(scores)), key=probabilities.__getitem__)
        for token in ascending[:-1]:
            below += probabilities[token]
            if below <= 1 - o.top_p:
                scores[token] = -math.inf
    if o.min_p:
        probabilities = plain_softmax(scores)
        least = o.min_p * max(probabilities)
        pairs = zip(scores, probabilities, strict=True)
        scores = [s if probability >= least else -math.inf for s, probability in pairs]
    if o.typical_p < 1:
        probabilities = plain_softmax(scores)
        possible = [token for token, probability in enumerate(probabilities) if probability]
        surprise = {token: -math.log(probabilities[token]) for token in possible}
        mean = sum(probabilities[token] * surprise[token] for token in possible)
        kept, mass = [], 0.0
        for token in sorted(possible, key=lambda token: abs(surprise[token] - mean)):
            if mass < o.typical_p:
                kept.append(token)
            mass += probabilities[token]
        scores = [s if token in kept else -math.inf for token, s in enumerate(scores)]
    return plain_softmax(scores)


def plain_softmax(scores: list[float]) -> list[float]:
    weights = [math.exp(score - max(scores)) for score in scores]
    return [weight / sum(weights) for weight in weights]


CASES = [
    options(),
    options(temperature=0.3),
    options(temperature=2.5),
    options(top_k=1),
    options(top_k=5),
    options(top_k=60),
    options(top_k=1000),
    options(top_p=0.01),
    options(top_p=0.5),
    options(top_p=0.97),
    options(min_p=0.05),
    options(min_p=0.9),
    options(repetition_penalty=1.7),
    options(repetition_penalty=0.5),
    options(typical_p=0.2),
    options(typical_p=0.9),
    options(frequency_penalty=1.5),
    options(presence_penalty=2.5),
    options(frequency_penalty=-1.0, presence_penalty=0.5),
    options(no_repeat_ngram_size=1),
    options(no_repeat_ngram_size=2),
    options(no_repeat_ngram_size=3),
    options(logit_bias={0: 4.0, 59: -2.5}),
    options(forbidden=(0, 17, 59)),
    options(top_k=30, top_p=0.9, typical_p=0.7, no_repeat_ngram_size=2, forbidden=(1,)),
    options(temperature=0.7, top_k=20, top_p=0.8, min_p=0.1, repetition_penalty=1.3),
    options(temperature=1.9, top_k=7, top_p=0.95, min_p=0.02, repetition_penalty=5.0),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_distribution_is_that_of_the_definitions(case):
    for logits in LOGITS:
        received = distribution(logits, case, SEEN, GENERATED)
        np.testing.assert_allclose(received, reference(logits, case, SEEN), atol=1e-12)
        assert received.sum() == pytest.approx(1)


@pytest.mark.parametrize("case", CASES[1:5] + CASES[7:], ids=str)
def test_every_option_changes_the_distribution(case):
    received = distribution(LOGITS[0], case, SEEN, GENERATED)
    assert not np.allclose(received, distribution(LOGITS[0], options(), ()))


def test_a_repeated_sequence_ends_in_the_tokens_that_followed_it():
    assert repeating([1, 2, 3, 1, 2, 4, 1, 2], 3) == [3, 4]
    assert repeating([1, 2, 3], 1) == [1, 2, 3]
    assert repeating([1, 2], 3) == [] == repeating([], 1)


def test_ids_that_are_none_and_a_forbidden_vocabulary_are_refused():
    with pytest.raises(KgptError, match="ids 0 to 59. Received: 60"):
        distribution(LOGITS[0], options(logit_bias={60: 1.0}), ())
    with pytest.raises(KgptError, match="no token is left"):
        distribution(LOGITS[0], options(forbidden=tuple(range(60))), ())


def test_temperature_0_is_greedy_and_takes_the_first_of_equals():
    logits = np.array([0.5, 2.0, 2.0, -1.0], dtype=np.float32)
    assert distribution(logits, options(temperature=0), ()).tolist() == [0, 1, 0, 0]
    penalised = options(temperature=0, repetition_penalty=1.1)
    assert distribution(logits, penalised, (1,)).tolist() == [0, 0, 1, 0]


def test_equal_scores_at_the_border_of_top_k_all_stay():
    received = distribution(np.array([1.0, 3.0, 1.0, 0.0]), options(top_k=2), ())
    assert (received > 0).tolist() == [True, True, True, False]


@pytest.mark.parametrize("temperature", [0.0, 1e-300, 1e-5, 1.0])
def test_scores_of_any_size(temperature):
    largest = float(np.finfo(np.float32).max)
    logits = np.array([-np.inf, -largest, 5.0, largest], dtype=np.float32)
    received = distribution(
        logits, options(temperature=temperature, repetition_penalty=1.5), (1, 2)
    )
    assert received.tolist() == [0, 0, 0, 1]
    logits[1] = np.inf
    assert distribution(logits, options(temperature=temperature), ()).tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("logits", [[1.0, np.nan], [-np.inf, -np.inf]])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_scores_that_mean_nothing_are_a_failure(logits, temperature):
    with pytest.raises(KgptFailure, match="minus infinity|NaN"):
        distribution(np.array(logits), options(temperature=temperature), ())


def test_most_probable_of_each_row():
    assert most_probable(np.array([[1.0, 2.0, 2.0], [3.0, -np.inf, 1.0]])) == [1, 0]
    with pytest.raises(KgptFailure, match="NaN"):
        most_probable(np.array([[1.0, np.nan]]))


def test_choices_follow_the_distribution_and_never_take_what_was_dropped():
    probabilities = distribution(LOGITS[1], options(top_k=5, temperature=2.0), ())
    generator = np.random.default_rng(0)
    counts = np.bincount([choose(probabilities, generator) for _ in range(20_000)], minlength=60)
    np.testing.assert_allclose(counts / 20_000, probabilities, atol=0.015)
    assert np.all(counts[probabilities == 0] == 0)


def test_the_ends_of_the_uniform_numbers_are_possible_tokens():
    class Fixed:
        def __init__(self, value):
            self.value = value

        def random(self):
            return self.value

    probabilities = np.array([0.0, 0.1, 0.2, 0.7, 0.0])
    assert choose(probabilities, Fixed(0.0)) == 1
    assert choose(probabilities, Fixed(np.nextafter(1.0, 0.0))) == 3


def test_top_tokens_are_ordered_by_probability_then_id():
    probabilities = np.array([0.1, 0.3, 0.1, 0.3, 0.2])
    assert top(probabilities, 4) == [1, 3, 4, 0]
    assert top(probabilities, 0) == []
    assert top(probabilities, 9) == [1, 3, 4, 0, 2]

"""Beam search: against all continuations of a small language, and a trained model."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import pytest

from kgpt.errors import KgptError
from kgpt.inference.beams import BeamSearch
from kgpt.inference.generation import load_generator
from kgpt.protocol import GenerateOptions

SIZE, LENGTH, END = 4, 4, 3
OPTIONS = GenerateOptions(max_tokens=LENGTH, temperature=0)


class Chain:
    """A decoder whose scores depend on the last two tokens."""

    context_length, vocabulary_size, size = 100, SIZE, 100

    def __init__(self, seed):
        self.table = np.random.default_rng(seed).normal(0, 2, (SIZE, SIZE, SIZE)).astype("float32")
        self.rows, self.length = [], 0

    def fresh(self):
        return copy.copy(self)

    branch = fresh

    def prefill(self, prompts, size=None):
        self.rows, self.length = [list(prompt) for prompt in prompts], len(prompts[0])
        return self.scores()

    def select(self, rows):
        self.rows = [list(self.rows[row]) for row in rows]

    def step(self, tokens):
        for row, token in zip(self.rows, tokens, strict=True):
            row.append(token)
        return self.scores()

    def scores(self):
        return np.stack([self.table[row[-2], row[-1]] for row in self.rows])


def ending(ids, options):
    return "end_of_text" if ids[-1] == END else None


def everything(chain, prompt, length_penalty):
    """The worth of every continuation."""
    worth = {}
    for ids in itertools.product(range(SIZE), repeat=LENGTH):
        ids = ids[: ids.index(END) + 1] if END in ids else ids
        row, total = list(prompt), 0.0
        for token in ids:
            scores = chain.table[row[-2], row[-1]].astype("float64")
            total += scores[token] - math.log(np.exp(scores).sum())
            row.append(token)
        worth[ids] = total / len(ids) ** length_penalty
    return worth


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(5))
def test_with_beams_enough_it_finds_the_best_of_all(seed, length_penalty):
    chain, beams = Chain(seed), SIZE**LENGTH
    found = BeamSearch(chain, OPTIONS, beams, length_penalty, ending).run([0, 1])
    worth = everything(chain, [0, 1], length_penalty)
    order = sorted(worth, key=worth.get, reverse=True)
    assert [tuple(item.ids) for item in found[:10]] == order[:10]
    for item in found:
        assert item.log_probability / len(item.ids) ** length_penalty == pytest.approx(
            worth[tuple(item.ids)]
        )
        assert item.reason == ("end_of_text" if item.ids[-1] == END else "length")


def test_one_beam_is_greedy_and_more_are_never_worse(tiny_run):
    generator = load_generator(tiny_run)
    options = GenerateOptions(max_tokens=12, temperature=0, stop=("🍎",))
    (one,) = generator.beam_search("xyz", options, beams=1)
    assert one.ids == generator.generate("xyz", options).ids and one.text
    few = generator.beam_search("xyz", options, beams=3)
    assert len(few) == 3 and len({tuple(result.ids) for result in few}) == 3
    assert few == sorted(few, key=lambda result: -log_probability(generator, result))
    assert log_probability(generator, few[0]) >= log_probability(generator, one) - 1e-5


def log_probability(generator, result):
    """Of a result's ids after the prompt, a token, by stepping through them."""
    decoder, total = generator.decoder.fresh(), 0.0
    logits = decoder.prefill([generator.encode_prompt("xyz")])
    for token in result.ids:
        scores = logits[0].astype("float64")
        total += scores[token] - np.logaddexp.reduce(scores)
        logits = decoder.step([token])
    return total / len(result.ids)


def test_penalties_and_prohibitions_hold_in_a_search(tiny_run):
    generator = load_generator(tiny_run)
    plain = generator.beam_search("xyz", GenerateOptions(max_tokens=8, temperature=0), beams=2)
    options = GenerateOptions(max_tokens=8, temperature=0, forbidden=tuple(plain[0].ids[:1]))
    changed = generator.beam_search("xyz", options, beams=2)
    assert plain[0].ids[0] not in changed[0].ids
    once = GenerateOptions(max_tokens=8, temperature=0, no_repeat_ngram_size=1)
    for result in generator.beam_search("xyz", once, beams=2):
        assert len(set(result.ids)) == len(result.ids)


@pytest.mark.parametrize(
    ("options", "beams", "length_penalty"),
    [
        (GenerateOptions(temperature=0.5), 2, 1.0),
        (GenerateOptions(top_k=3), 2, 1.0),
        (GenerateOptions(seed=1), 2, 1.0),
        (GenerateOptions(), 0, 1.0),
        (GenerateOptions(), 2, math.nan),
    ],
)
def test_what_means_nothing_to_a_search_is_refused(options, beams, length_penalty):
    with pytest.raises(KgptError, match="Bad generation option"):
        BeamSearch(Chain(0), options, beams, length_penalty, ending)

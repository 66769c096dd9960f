"""A draft changes how soon a text is there, and neither the text nor the chances of a text."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from test_decoder import random_rows
from tiny import GPT2_SHAPE, MODERN_SHAPE

from kgpt.errors import KgptError
from kgpt.inference.continuation import Continuation
from kgpt.inference.decoder import KerasDecoder
from kgpt.inference.generation import Generator, load_generator
from kgpt.inference.sampling import distribution
from kgpt.inference.speculation import Speculation
from kgpt.model.gpt import build_gpt
from kgpt.protocol import GenerateOptions
from kgpt.text.tokenizer import Tokenizer

PROMPT = "Era uma vez"
TOKENIZER = Tokenizer.bytes()


def sharp(shape, seed):
    """A model whose scores differ clearly."""
    model = build_gpt(shape, seed=seed)
    for variable in model.trainable_variables:
        variable.assign(variable * 3 if len(variable.shape) > 1 else variable)
    return model


@pytest.fixture(scope="module")
def target():
    return KerasDecoder(sharp(MODERN_SHAPE, 1))


@pytest.fixture(scope="module")
def stranger():
    return KerasDecoder(sharp(GPT2_SHAPE, 2))


def ids(generator, **options) -> list[int]:
    return [piece.token for piece in generator.stream(PROMPT, GenerateOptions(**options))]


@pytest.mark.parametrize("draft", ["itself", "a stranger", "a short context"])
@pytest.mark.parametrize("count", [1, 4])
def test_greedy_texts_are_the_same_beyond_the_context_too(target, stranger, draft, count):
    short = KerasDecoder(sharp(dataclasses.replace(GPT2_SHAPE, context_length=12), 3))
    model = {"itself": target, "a stranger": stranger, "a short context": short}[draft]
    with_draft = Generator(target, TOKENIZER, Speculation(model, count))
    options = {"temperature": 0, "max_tokens": 90, "no_repeat_ngram_size": 3}
    assert ids(with_draft, **options) == ids(Generator(target, TOKENIZER), **options)
    speculation = with_draft.speculation
    assert speculation.proposed >= 40
    # Where the context is full, the two forget at different places, and the model contradicts itself.
    assert (speculation.accepted > speculation.proposed / 2) == (draft == "itself")


def test_a_draft_that_is_the_model_halves_its_steps(target):
    """What it is for: the large model computes less often."""
    calls = collections.Counter()

    class Counting(KerasDecoder):
        def step(self, tokens):
            calls["step"] += 1
            return super().step(tokens)

        def extend(self, tokens):
            calls["extend"] += 1
            return super().extend(tokens)

    counting = Counting(target._model)
    generator = Generator(counting, TOKENIZER, Speculation(target))
    assert len(ids(generator, max_tokens=21, temperature=0.5, seed=3)) == 21
    assert calls == {"extend": 4}


def test_the_same_seed_gives_the_same_text(target, stranger):
    generator = Generator(target, TOKENIZER, Speculation(stranger))
    options = {"max_tokens": 30, "forbidden": (TOKENIZER.end_of_text,)}
    first = ids(generator, seed=5, **options)
    assert ids(generator, seed=5, **options) == first
    assert ids(generator, seed=6, **options) != first
    streams = list(generator.streams(PROMPT, GenerateOptions(**options), [5, 6]))
    turns = list(zip(*streams, strict=True))
    assert [pieces[0].token for pieces in turns] == first


class Chain:
    """A decoder whose scores depend on the last token alone: every chance can be computed by hand."""

    context_length, vocabulary_size = 64, 257

    def __init__(self, table: np.ndarray) -> None:
        self.table, self.size, self.length = table, self.context_length, 0

    def fresh(self):
        return Chain(self.table)

    def prefill(self, prompts: Sequence[Sequence[int]], size: int | None = None) -> np.ndarray:
        self.length = len(prompts[0])
        return self.table[[prompts[0][-1]]]

    def step(self, tokens: Sequence[int]) -> np.ndarray:
        self.length += 1
        return self.table[list(tokens)]

    def extend(self, tokens: Sequence[int]) -> np.ndarray:
        self.length += len(tokens)
        return self.table[list(tokens)]

    def cut(self, length: int) -> None:
        self.length = length


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 1.0},
        {"temperature": 0.7, "top_k": 3},
        {"temperature": 1.3, "repetition_penalty": 1.5, "presence_penalty": 0.5},
    ],
)
def test_drawn_texts_have_the_model_s_own_chances(options):
    """Frequencies of all texts of four tokens, beside the products of the target's probabilities (chi-squared)."""
    random, letters = np.random.default_rng(0), 4
    tables = []
    for _ in range(2):
        table = np.full((257, 257), -np.inf, dtype=np.float32)
        table[:, :letters] = random.normal(0, 1.2, (257, letters))
        tables.append(table)
    chosen = GenerateOptions(max_tokens=4, **options)
    target, speculation = Chain(tables[0]), Speculation(Chain(tables[1]), 2)
    rounds, found = 6_000, collections.Counter()
    for seed in range(rounds):
        text = Continuation([7], GenerateOptions(seed=seed, max_tokens=4, **options), TOKENIZER)
        decoder = target.fresh()
        logits = decoder.prefill([[7]])
        pieces = speculation.pieces(text, decoder, logits[0], speculation.read([7]))
        found[tuple(piece.token for piece in pieces)] += 1
    statistic, cells = 0.0, 0
    for tokens in itertools.product(range(letters), repeat=4):
        chance, seen = 1.0, [7]
        for count, token in enumerate(tokens):
            chance *= distribution(tables[0][seen[-1]], chosen, seen, count)[token]
            seen.append(token)
        if chance == 0:
            assert not found[tokens]
        else:
            statistic += (found[tokens] - rounds * chance) ** 2 / (rounds * chance)
            cells += 1
    # Mean and standard deviation of the statistic, were the chances these: five of those are never seen.
    assert cells > 50 and abs(statistic - (cells - 1)) < 5 * np.sqrt(2 * cells)
    assert 0.2 < speculation.accepted / speculation.proposed < 0.95


@pytest.mark.parametrize("decoder", ["keras", "litert"])
def test_tokens_read_at_once_have_the_scores_of_steps(decoder, tiny_run):
    chosen = load_generator(tiny_run, decoder=decoder).decoder
    (row,), (news,) = random_rows((20,)), random_rows((11,), seed=1)
    one, other = chosen.fresh(), chosen.fresh()
    one.prefill([row]), other.prefill([row])
    expected = np.concatenate([one.step([token]) for token in news])
    np.testing.assert_allclose(other.extend(news), expected, atol=2e-5)
    assert one.length == other.length == 31
    other.cut(25)
    assert other.length == 25
    one.prefill([[*row, *news[:5]]])
    np.testing.assert_allclose(other.step([3]), one.step([3]), atol=2e-5)
    np.testing.assert_allclose(other.extend([5, 6])[-1], (one.step([5]), one.step([6]))[-1][0], atol=2e-5)  # fmt: skip
    for tokens in ([], [1] * 128):
        with pytest.raises(KgptError, match="Received: 1 rows"):
            other.extend(tokens)
    other.prefill([[1], [2]])
    with pytest.raises(KgptError, match="Received: 2 rows"):
        other.extend([1])


def test_what_cannot_propose_is_refused(target):
    with pytest.raises(KgptError, match="at least 1"):
        Speculation(target, 0)
    with pytest.raises(KgptError, match="needs a context of 42"):
        Speculation(target, 20)

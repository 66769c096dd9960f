"""The loss against a plain computation in NumPy, window by window."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kgpt.config import ModelConfig
from kgpt.errors import KgptError
from kgpt.evaluation.decoded_loss import decoded_loss
from kgpt.evaluation.loss import LossEvaluator
from kgpt.evaluation.tokens import InMemoryTokens, Loss
from kgpt.inference.decoder import KerasDecoder

SHAPE = ModelConfig(vocabulary_size=257, context_length=8, num_layers=1, num_heads=2, width=16)
END = 256


@pytest.fixture(scope="module")
def model():
    """Random weights, large enough for a loss that depends on every token."""
    from kgpt.model.gpt import build_gpt

    model = build_gpt(SHAPE, seed=3)
    for variable in model.trainable_variables:
        variable.assign(variable * 8.0)
    return model


@pytest.fixture(scope="module")
def evaluators(model):
    return {size: LossEvaluator(model, END, batch_size=size) for size in (1, 3)}


def tokens_of(length: int) -> list[int]:
    return np.random.default_rng(length).integers(0, 257, length).tolist()


def plain_loss(model, ids: list[int]) -> float:
    """Sum over windows of eight: each token from those before it, the first from the token before the window."""
    total = 0.0
    for start in range(0, len(ids), 8):
        targets = ids[start : start + 8]
        inputs = [ids[start - 1] if start else END, *targets[:-1]] + [0] * (8 - len(targets))
        logits = np.asarray(model(np.array([inputs], "int32")), "float64")[0]
        logits -= logits.max(axis=-1, keepdims=True)
        log_probabilities = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        total -= sum(log_probabilities[place, target] for place, target in enumerate(targets))
    return total / len(ids)


@pytest.mark.parametrize("length", [1, 8, 75])
def test_a_decoder_measures_the_same(model, length):
    ids = tokens_of(length)
    measured = decoded_loss(KerasDecoder(model), InMemoryTokens(ids), 10, END)
    assert measured.loss == pytest.approx(plain_loss(model, ids), rel=1e-5)
    assert (measured.tokens, measured.bytes) == (length, 10)


def test_xla_measures_the_same(model):
    ids = tokens_of(45)
    measured = LossEvaluator(model, END, batch_size=3, jit_compile=True).measure(
        InMemoryTokens(ids), num_bytes=10
    )
    assert measured.loss == pytest.approx(plain_loss(model, ids), rel=1e-5)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 16, 24, 25, 45])
def test_windows_of_every_length(model, evaluators, length):
    ids = tokens_of(length)
    expected = plain_loss(model, ids)
    for evaluator in evaluators.values():
        measured = evaluator.measure(InMemoryTokens(ids), num_bytes=10)
        assert measured.loss == pytest.approx(expected, rel=1e-5)
        assert (measured.tokens, measured.bytes) == (length, 10)


def strided_loss(model, ids: list[int], length: int, stride: int) -> float:
    """Each token from the ids of the first window that reaches it, token by token."""
    total = 0.0
    for place, target in enumerate(ids):
        start = 0 if place < length else -(-(place + 1 - length) // stride) * stride
        before = [ids[start - 1] if start else END, *ids[start:place]]
        logits = np.asarray(model(np.array([before + [0] * (8 - len(before))], "int32")), "float64")
        row = logits[0, len(before) - 1]
        total -= row[target] - row.max() - np.log(np.exp(row - row.max()).sum())
    return total / len(ids)


@pytest.mark.parametrize(
    ("length", "stride", "jit_compile"),
    [(8, 3, False), (8, 3, True), (8, 1, False), (6, 6, False), (5, 2, False)],
)
def test_with_a_stride_every_token_is_scored_once(model, length, stride, jit_compile):
    evaluator = LossEvaluator(
        model, END, batch_size=3, context_length=length, jit_compile=jit_compile
    )
    for count in (1, 5, 8, 9, 30):
        ids = tokens_of(count)
        measured = evaluator.measure(InMemoryTokens(ids), 10, stride=stride)
        expected = strided_loss(model, ids, length, stride)
        assert measured.loss == pytest.approx(expected, rel=1e-5)
        assert measured.tokens == count


@pytest.mark.parametrize("asked", [{"context_length": 9}, {"stride": 9}])
def test_windows_longer_than_the_context(model, asked):
    with pytest.raises(KgptError, match="Expected 1 to 8 tokens"):
        LossEvaluator(model, END, context_length=asked.get("context_length", 0)).measure(
            InMemoryTokens([1, 2]), 2, stride=asked.get("stride", 0)
        )


def test_every_token_counts(evaluators):
    ids = tokens_of(20)
    whole = evaluators[3].measure(InMemoryTokens(ids), 1)
    for place in range(20):
        changed = [*ids[:place], (ids[place] + 1) % 257, *ids[place + 1 :]]
        assert evaluators[3].measure(InMemoryTokens(changed), 1).loss != whole.loss


def test_a_model_that_knows_nothing_needs_the_logarithm_of_its_vocabulary():
    from kgpt.model.gpt import build_gpt

    blank = build_gpt(
        ModelConfig(
            vocabulary_size=257, context_length=8, num_layers=1, num_heads=2, width=16,
            tied_head=False, initialization="zero-output",
        )
    )  # fmt: skip
    measured = LossEvaluator(blank, END).measure(InMemoryTokens(list("ação".encode())), 6)
    assert measured.loss == pytest.approx(math.log(257), rel=1e-6)
    assert measured.perplexity == pytest.approx(257, rel=1e-5)
    assert measured.bits_per_byte == pytest.approx(math.log2(257), rel=1e-6)


def test_bits_per_byte_by_hand():
    # 12 tokens at ln 8 nats are 12 * 3 = 36 bits, over 9 bytes
    loss = Loss(loss=math.log(8), tokens=12, bytes=9)
    assert loss.bits_per_byte == pytest.approx(4.0)
    assert loss.perplexity == pytest.approx(8.0)


def test_losses_beyond_all_numbers_stay_printable():
    assert math.isfinite(Loss(loss=1e6, tokens=1, bytes=0).perplexity)
    assert math.isnan(Loss(loss=math.nan, tokens=1, bytes=1).bits_per_byte)


def test_a_corpus_measures_as_the_list_of_its_tokens(model, evaluators, tmp_path):
    from kgpt.text.shard_writer import Part, write_corpus
    from kgpt.text.tokenizer import Tokenizer

    parts = [Part("validation", "uma maçã"), Part("validation", "e outra, bem maior")]
    corpus = write_corpus(tmp_path / "data", Tokenizer.bytes(), parts, shard_tokens=5)
    tokens = corpus.tokens("validation")
    measured = evaluators[3].measure(tokens, corpus.validation_bytes)
    assert measured == evaluators[3].measure(InMemoryTokens(tokens[:].tolist()), 28)
    assert measured.loss == pytest.approx(plain_loss(model, tokens[:].tolist()), rel=1e-5)


def test_progress_ends_with_everything(evaluators):
    seen = []
    evaluators[3].measure(
        InMemoryTokens(tokens_of(45)), 1, lambda done, of: seen.append((done, of))
    )
    assert seen == [(24, 45), (45, 45)]


def test_the_evaluator_sees_weights_that_changed(model, evaluators):
    ids, variable = InMemoryTokens(tokens_of(20)), model.trainable_variables[0]
    before, value = evaluators[1].measure(ids, 1), np.array(variable)
    variable.assign(value * 0.5)
    assert evaluators[1].measure(ids, 1) != before
    variable.assign(value)
    assert evaluators[1].measure(ids, 1) == before


def test_nothing_to_measure(evaluators):
    with pytest.raises(KgptError, match="no tokens"):
        evaluators[1].measure(InMemoryTokens([]), 0)


def test_batches_and_logits_are_bounded_whatever_the_context(model, monkeypatch):
    from kgpt.evaluation import loss as module
    from kgpt.model import cross_entropy

    ids = InMemoryTokens(tokens_of(45))
    expected = LossEvaluator(model, END).measure(ids, 1)
    assert LossEvaluator(model, END).batch_size == 16
    monkeypatch.setattr(module, "TOKENS_AT_ONCE", 20)
    monkeypatch.setattr(cross_entropy, "SMALLEST_CHUNK", 5)
    monkeypatch.setattr(cross_entropy, "CHUNK_BYTES", 1)
    bounded = LossEvaluator(model, END)
    assert bounded.batch_size == 2
    assert bounded.measure(ids, 1).loss == pytest.approx(expected.loss, rel=1e-6)

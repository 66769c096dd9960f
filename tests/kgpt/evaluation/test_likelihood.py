"""Log-likelihoods against an independent GPT in NumPy, request by request and without any batch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy_gpt import forward
from tiny import GPT2_SHAPE, MODERN_SHAPE

from kgpt.errors import KgptError
from kgpt.evaluation import likelihood, packing
from kgpt.evaluation.likelihood import LikelihoodScorer, Score
from kgpt.evaluation.packing import LONGEST_SHARED_ROW, batches, padded_length
from kgpt.evaluation.pairs import Request, requests_of
from kgpt.model.weights import tensors_of
from kgpt.text.tokenizer import Tokenizer

SHAPES = {"gpt2": dataclasses.replace(GPT2_SHAPE, context_length=48), "modern": MODERN_SHAPE}


@pytest.fixture(scope="module", params=SHAPES)
def scorer(request):
    from kgpt.model.gpt import build_gpt

    model = build_gpt(SHAPES[request.param], seed=1)
    for variable in model.trainable_variables:
        variable.assign(variable * 4.0)
    return LikelihoodScorer(model, Tokenizer.bytes())


def plain(scorer: LikelihoodScorer, request: Request) -> tuple[float, bool]:
    """By the definition: the whole text read once, log-softmax, the last tokens summed."""
    config, count = scorer.model.config, len(request.continuation)
    ids = [*request.context, *request.continuation][-config.context_length - 1 :]
    weights = tensors_of(scorer.model.weights)
    logits = forward(weights, config, np.array([ids[:-1]]))[0, -count:]
    logits = logits - logits.max(axis=-1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    own = logs[np.arange(count), list(request.continuation)]
    is_greedy = (logs.argmax(axis=-1) == list(request.continuation)).all()
    return float(own.sum()), bool(is_greedy)


def some_pairs(count: int, choices: int) -> tuple[list[tuple[str, str]], list[int]]:
    """Questions of every length up to one that does not fit, with choices of several lengths."""
    random = np.random.default_rng(7)

    def words(length: int) -> str:
        return "".join(map(chr, random.integers(97, 123, length)))

    pairs, groups = [], []
    for number in range(count):
        context = words(2 * number)
        for _ in range(choices):
            pairs.append((context, " " + words(int(random.integers(1, 16)))))
            groups.append(number)
    return pairs, groups


def check(scorer: LikelihoodScorer, pairs, groups, scores: list[Score]) -> None:
    requests = requests_of(scorer.tokenizer, pairs, groups)
    for request, score in zip(requests, scores, strict=True):
        expected, is_greedy = plain(scorer, request)
        assert score.log_likelihood == pytest.approx(expected, rel=1e-4)
        assert score.is_greedy == is_greedy and score.tokens == len(request.continuation)


def test_choices_that_share_their_question(scorer):
    pairs, groups = some_pairs(24, 4)
    scores = scorer.score_texts(pairs, groups)
    check(scorer, pairs, groups, scores)
    assert any(score.lost for score in scores) and not all(score.lost for score in scores)


def test_the_group_changes_the_work_and_not_the_scores(scorer):
    pairs, groups = some_pairs(8, 4)
    requests = requests_of(scorer.tokenizer, pairs, groups)
    apart = [dataclasses.replace(request, group=None) for request in requests]
    places = [
        sum(batch.ids_BT.size for batch in batches(items, scorer.context_length))
        for items in (requests, apart)
    ]
    assert places[0] < places[1]
    for one, other in zip(scorer.score(requests), scorer.score(apart), strict=True):
        assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-4)


def test_long_groups_take_several_rows(scorer, monkeypatch):
    monkeypatch.setattr(packing, "LONGEST_SHARED_ROW", 30)
    pairs, groups = some_pairs(8, 6)
    check(scorer, pairs, groups, scorer.score_texts(pairs, groups))


def test_logits_are_bounded(scorer, monkeypatch):
    monkeypatch.setattr(likelihood, "HEAD_SIZES", (2, 3))
    pairs, groups = some_pairs(3, 2)
    check(scorer, pairs, groups, scorer.score_texts(pairs, groups))


def test_the_text_that_greedy_decoding_writes_is_greedy(scorer):
    from kgpt.inference.decoder import KerasDecoder

    decoder, prompt, written = KerasDecoder(scorer.model), [80, 81, 82], []
    logits = decoder.prefill([prompt])
    for _ in range(6):
        written.append(int(np.argmax(logits[0])))
        logits = decoder.step(written[-1:])
    other = [*written[:-1], (written[-1] + 1) % 257]
    requests = [Request(tuple(prompt), tuple(ids), "q") for ids in (written, other)]
    assert [score.is_greedy for score in scorer.score(requests)] == [True, False]


def test_choices_that_begin_alike_are_scored_where_they_do(scorer):
    pairs = [("", " Ana quebra o copo."), ("", " Ana quebram o copo."), ("", " Ana")]
    check(scorer, pairs, [0, 0, 0], scorer.score_texts(pairs, [0, 0, 0]))


def test_progress_ends_with_everything(scorer):
    seen: list[tuple[int, int]] = []
    pairs, groups = some_pairs(20, 3)
    scorer.score_texts(pairs, groups, lambda done, of: seen.append((done, of)))
    assert seen[-1] == (60, 60) and seen == sorted(seen)


def test_a_continuation_longer_than_the_context(scorer):
    with pytest.raises(KgptError, match="Received one of 61"):
        scorer.score_texts([("a", " " + "b" * 60)], [0])


def test_another_vocabulary(scorer):
    with pytest.raises(KgptError, match="Vocabulary does not match"):
        LikelihoodScorer(scorer.model, Tokenizer.train(["aa" * 50], 258))


def test_shapes_are_few_and_waste_little():
    lengths = {padded_length(length) for length in range(1, LONGEST_SHARED_ROW + 1)}
    assert len(lengths) <= 24
    for length in range(1, LONGEST_SHARED_ROW + 1):
        assert length <= padded_length(length) < max(length + 16, 1.25 * length)


def test_every_request_is_in_one_batch():
    random = np.random.default_rng(3)
    requests = [
        Request((1,) * int(random.integers(1, 60)), (2,) * int(random.integers(1, 5)), number // 3)
        for number in range(200)
    ]
    found = list(batches(requests, 64))
    owners = np.concatenate([batch.owners_N for batch in found])
    expected = [number for number, item in enumerate(requests) for _ in item.continuation]
    assert sorted(owners.tolist()) == expected
    assert len({batch.ids_BT.shape for batch in found}) <= 10

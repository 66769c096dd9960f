"""Texts that join and leave a running batch are written as if each were alone."""

import numpy as np
import pytest

from kgpt.inference.context import slide
from kgpt.inference.generation import load_generator

PROMPTS = [[1, 2, 3], [7] * 20, [5], [9, 8, 7, 6], [4, 4], [11, 3, 2], [2] * 9, [8, 1], [6], [3, 5]]


@pytest.fixture(params=["keras", "litert"])
def decoder(request, tiny_run):
    return load_generator(tiny_run, decoder=request.param).decoder


def alone(decoder, prompt, tokens):
    """Scores after the prompt and after each of `tokens`."""
    fresh = decoder.fresh()
    return [fresh.prefill([prompt])[0], *(fresh.step([token])[0] for token in tokens)]


def test_texts_that_come_and_go_have_their_own_scores(decoder):
    random = np.random.default_rng(0)
    seats, texts = decoder.seats(), {}
    waiting = list(enumerate(PROMPTS))
    done = []
    for _ in range(400):
        if waiting and (len(texts) < 2 or random.random() < 0.5):
            index, prompt = waiting.pop(0)
            seat, scores = seats.join(prompt)
            texts[seat] = (index, [], [scores])
        if texts and random.random() < 0.2:
            seat = list(texts)[random.integers(len(texts))]
            done.append(texts.pop(seat))
            seats.leave(seat)
        if not texts:
            if not waiting:
                break
            continue
        tokens = {seat: int(random.integers(20)) for seat in texts}
        for seat, scores in seats.step(tokens).items():
            texts[seat][1].append(tokens[seat])
            texts[seat][2].append(scores)
    assert len(done) == len(PROMPTS)
    assert max(len(tokens) for _, tokens, _ in done) > 5
    for index, tokens, scores in done:
        expected = alone(decoder, PROMPTS[index], tokens)
        np.testing.assert_allclose(scores, expected, atol=2e-5, rtol=1e-5)


def test_a_fork_goes_on_by_itself(decoder):
    seats = decoder.seats()
    first, _ = seats.join([1, 2, 3])
    seats.step({first: 4})
    second = seats.fork(first)
    scores = seats.step({first: 5, second: 6})
    np.testing.assert_allclose(scores[first], alone(decoder, [1, 2, 3], [4, 5])[-1], atol=2e-5)
    np.testing.assert_allclose(scores[second], alone(decoder, [1, 2, 3], [4, 6])[-1], atol=2e-5)


def test_more_texts_than_a_graph_has_rows(decoder):
    seats = decoder.seats()
    places = [seats.join([token, token + 1])[0] for token in range(19)]
    scores = seats.step(dict.fromkeys(places, 3))
    for token in (0, 8, 18):
        expected = alone(decoder, [token, token + 1], [3])[-1]
        np.testing.assert_allclose(scores[places[token]], expected, atol=2e-5)


def test_a_long_text_beside_short_ones(decoder):
    """The place where all rows end reaches the last one of the cache while no row is full."""
    seats, context = decoder.seats(), decoder.context_length
    long = [3] * (context - 2)
    full, _ = seats.join(long)
    short, scores = seats.join([1, 2])
    seats.step({full: 1, short: 5})
    seats.step({full: 2, short: 6})
    seats.leave(full)
    tokens = [5, 6]
    for token in (7, 8, 9):
        scores = seats.step({short: token})[short]
        tokens.append(token)
    np.testing.assert_allclose(scores, alone(decoder, [1, 2], tokens)[-1], atol=2e-5)


def test_a_window_slides_to_its_last_half():
    window = list(range(9))
    assert not slide(window, 9)
    assert slide(window, 8)
    assert window == [5, 6, 7, 8]

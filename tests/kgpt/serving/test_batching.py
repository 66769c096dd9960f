"""Many texts at once, in turns, and what happens when the model fails."""

from __future__ import annotations

import threading
import time

import pytest
from tiny import TEXT

from kgpt.errors import KgptError, KgptFailure
from kgpt.inference.continuation import Piece
from kgpt.inference.generation import load_generator
from kgpt.protocol import GenerateOptions
from kgpt.serving.batching import Batcher, Busy, Closing, Order, WaitedTooLong

END = 256


@pytest.fixture(scope="module")
def litert(tiny_run):
    return load_generator(tiny_run, decoder="litert")


@pytest.fixture(scope="module")
def keras(tiny_run):
    return load_generator(tiny_run, decoder="keras")


class Collected:
    """What an order has brought."""

    ended = 0
    """Orders that have ended so far, of all."""

    def __init__(self, prompt="a", **options):
        chosen = GenerateOptions(**{"seed": 1, **options})
        self.pieces: list[Piece] = []
        self.error: KgptError | None = None
        self.done = threading.Event()
        self.place = 0
        self.order = Order(list(prompt.encode()), chosen, self.take)

    def take(self, item):
        if isinstance(item, KgptError):
            self.error = item
        else:
            self.pieces.append(item)
        if self.error or item.reason:
            Collected.ended += 1
            self.place = Collected.ended
            self.done.set()

    @property
    def text(self):
        assert self.done.wait(60), "it never ended"
        assert self.error is None
        return "".join(piece.text for piece in self.pieces)


@pytest.fixture
def batcher_of():
    made = []

    def make(generator, **limits):
        made.append(Batcher(generator, **limits))
        return made[-1]

    yield make
    for batcher in made:
        batcher.close()


@pytest.mark.parametrize("name", ["litert", "keras"])
def test_long_and_short_texts_are_each_as_alone(request, batcher_of, name):
    """The long ones outgrow the context and slide while others go on."""
    generator = request.getfixturevalue(name)
    batcher = batcher_of(generator, streams=4)
    asked = [
        (
            TEXT[index : index + 3],
            {"max_tokens": 290 - 40 * index, "seed": index, "temperature": 1.3},
        )
        for index in range(7)
    ]
    texts = []
    for prompt, options in asked:
        texts.append(Collected(prompt, logit_bias={END: -100}, **options))
        batcher.submit([texts[-1].order])
        time.sleep(0.02)
    for (prompt, options), text in zip(asked, texts, strict=True):
        expected = generator.generate(prompt, GenerateOptions(logit_bias={END: -100}, **options))
        assert text.text == expected.text


def test_texts_of_one_prompt_read_it_once(litert, batcher_of):
    batcher = batcher_of(litert, streams=8)
    texts = [Collected("abc", seed=seed, max_tokens=20, temperature=1.5) for seed in range(6)]
    batcher.submit([text.order for text in texts])
    for seed, text in enumerate(texts):
        alone = litert.generate("abc", GenerateOptions(seed=seed, max_tokens=20, temperature=1.5))
        assert text.text == alone.text
    assert batcher.counts.prompt_tokens == 3


@pytest.mark.parametrize(("one", "two"), [(("a", ""), ("b", "")), (("a", "x"), ("a", "y"))])
def test_machines_take_turns_and_so_do_their_users(litert, batcher_of, one, two):
    batcher = batcher_of(litert, streams=1)
    first = [Collected(max_tokens=30, logit_bias={END: -100}) for _ in range(5)]
    for text in first:
        text.order.client = one
    second = Collected(max_tokens=30, logit_bias={END: -100})
    second.order.client = two
    batcher.submit([text.order for text in first])
    batcher.submit([second.order])
    assert all(text.text for text in [*first, second])
    assert sorted([*first, second], key=lambda text: text.place).index(second) <= 2


def test_new_users_of_one_machine_do_not_push_another_back(litert, batcher_of):
    batcher = batcher_of(litert, streams=1)
    texts = [Collected(max_tokens=20, logit_bias={END: -100}) for _ in range(6)]
    for number, text in enumerate(texts):
        text.order.client = ("many", f"user {number}")
    one = Collected(max_tokens=20, logit_bias={END: -100})
    one.order.client = ("one", "")
    batcher.submit([text.order for text in [*texts, one]])
    assert all(text.text for text in [*texts, one])
    assert sorted([*texts, one], key=lambda text: text.place).index(one) <= 1


def test_many_texts_of_one_client_leave_a_place_to_another(litert, batcher_of):
    batcher = batcher_of(litert, streams=3, waiting=10)
    blocking = Collected(max_tokens=100, logit_bias={END: -100})
    batcher.submit([blocking.order] + [Collected(max_tokens=100, logit_bias={END: -100}).order] * 2)
    many = [Collected(max_tokens=2000, logit_bias={END: -100}) for _ in range(3)]
    one = Collected("b", max_tokens=5, logit_bias={END: -100})
    for text in many:
        text.order.client = ("many", "")
    one.order.client = ("one", "")
    batcher.submit([text.order for text in many])
    batcher.submit([one.order])
    assert one.text
    assert not any(text.done.is_set() for text in many)


def test_what_waits_is_given_up_at_once_and_leaves_its_place_in_the_queue(litert, batcher_of):
    batcher = batcher_of(litert, streams=1, waiting=1)
    running = Collected(max_tokens=3000, logit_bias={END: -100})
    batcher.submit([running.order])
    while not running.pieces:
        time.sleep(0.001)
    waiting = Collected()
    batcher.submit([waiting.order])
    with pytest.raises(Busy):
        batcher.submit([Collected().order])
    batcher.cancel(waiting.order)
    last = Collected(max_tokens=1)
    batcher.submit([last.order])
    batcher.cancel(running.order)
    assert last.pieces or last.done.wait(60)
    assert not waiting.pieces


def test_waiting_ends_in_time_while_others_write(litert, batcher_of):
    batcher = batcher_of(litert, streams=1)
    running = Collected(max_tokens=10**6, logit_bias={END: -100})
    batcher.submit([running.order])
    late = Collected()
    late.order.deadline = time.monotonic() + 0.2
    batcher.submit([late.order])
    assert late.done.wait(10)
    assert isinstance(late.error, WaitedTooLong)
    assert not running.done.is_set()
    batcher.cancel(running.order)


def test_a_failing_step_ends_every_text_and_the_next_is_written(
    litert, batcher_of, monkeypatch, capfd
):
    batcher = batcher_of(litert, streams=4)
    texts = [Collected(max_tokens=10**6, logit_bias={END: -100}) for _ in range(3)]
    batcher.submit([text.order for text in texts])
    while not texts[-1].pieces:
        time.sleep(0.001)

    def broken(tokens):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(batcher._seats, "step", broken)
    for text in texts:
        assert text.done.wait(10)
        assert isinstance(text.error, KgptFailure)
    after = Collected(max_tokens=5, logit_bias={END: -100})
    batcher.submit([after.order])
    assert after.text
    assert "out of memory" in capfd.readouterr().err


def test_a_prompt_that_breaks_the_model_is_answered(litert, batcher_of, monkeypatch, capfd):
    batcher = batcher_of(litert, streams=4)

    def broken(prompt):
        raise RuntimeError("no such row")

    monkeypatch.setattr(batcher._seats, "join", broken)
    texts = [Collected(), Collected()]
    batcher.submit([text.order for text in texts])
    for text in texts:
        assert text.done.wait(10)
    assert isinstance(texts[0].error, KgptFailure)


def test_closing_finishes_and_takes_no_more(litert):
    batcher = Batcher(litert, streams=1)
    texts = [Collected(max_tokens=40, logit_bias={END: -100}) for _ in range(3)]
    batcher.submit([text.order for text in texts])
    batcher.close()
    assert [len(text.pieces) for text in texts] == [40] * 3
    with pytest.raises(Closing):
        batcher.submit([Collected().order])

"""How a context and its continuation become tokens: lm-eval's rules, spelled out by hand."""

from __future__ import annotations

import pytest

from kgpt.errors import KgptError
from kgpt.evaluation.pairs import Request, requests_of
from kgpt.text.tokenizer import Tokenizer

TEXT = "the cat sat on the mat. the cats sat. " * 20


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([TEXT], 300)


def one(tokenizer: Tokenizer, context: str, continuation: str) -> Request:
    return requests_of(tokenizer, [(context, continuation)], [None])[0]


def test_a_word_keeps_its_space(tokenizer):
    request = one(tokenizer, "the cat", " sat")
    assert request.context == tuple(tokenizer.encode("the cat"))
    assert request.continuation == tuple(tokenizer.encode(" sat"))


def test_spaces_at_the_end_of_a_context_go_to_the_continuation(tokenizer):
    assert one(tokenizer, "the cat ", "sat") == one(tokenizer, "the cat", " sat")
    assert one(tokenizer, "the cat \n", "sat") == one(tokenizer, "the cat", " \nsat")


@pytest.mark.parametrize("context", ["", " ", "\n "])
def test_without_a_context_a_text_begins(tokenizer, context):
    request = one(tokenizer, context, "sat")
    assert request.context == (tokenizer.end_of_text,)
    assert request.continuation == tuple(tokenizer.encode(context + "sat"))


def test_a_token_across_the_border_is_cut_there(tokenizer):
    whole = tokenizer.encode("the cat")
    assert len(whole) == 2 and len(tokenizer.encode("the ca")) == 4
    assert one(tokenizer, "the ca", "t").continuation == tuple(tokenizer.encode("t"))


def test_what_does_not_fit_loses_its_beginning():
    request = Request((1, 2, 3), (4, 5))
    assert request.cut(8) == ([1, 2, 3, 4, 5], 0)
    assert request.cut(4) == ([1, 2, 3, 4, 5], 0)  # the last id is not read
    assert request.cut(3) == ([2, 3, 4, 5], 1)
    assert request.cut(2) == ([3, 4, 5], 2)
    with pytest.raises(KgptError, match="at most 1 tokens"):
        request.cut(1)


def test_nothing_to_score(tokenizer):
    with pytest.raises(KgptError, match="is empty"):
        one(tokenizer, "the cat", "")

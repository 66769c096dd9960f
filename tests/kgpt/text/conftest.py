from __future__ import annotations

import pytest
from hard_text import TRAINING_TEXT

from kgpt.text.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def trained() -> Tokenizer:
    """A tokenizer with every merge that a small text of many kinds supports."""
    return Tokenizer.train([TRAINING_TEXT], 700)


@pytest.fixture(scope="session")
def byte_tokenizer() -> Tokenizer:
    return Tokenizer.bytes()


@pytest.fixture(scope="session")
def doubled() -> Tokenizer:
    """Two merges make "aaa", two make "aaaa"; ranks and ids are in different orders."""
    base = Tokenizer.bytes().vocabulary
    merges = [("a", "a"), ("aa", "a"), ("a", "aa"), ("aa", "aa"), ("b", "aaa"), ("aaa", "a")]
    vocabulary = {token: index for token, index in base.items() if index < 256}
    for token in ("baaa", "aaaa", "<|endoftext|>", "aa", "aaa"):
        vocabulary[token] = len(vocabulary)
    return Tokenizer(vocabulary, merges)

"""Which tokens make which word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgpt.inference.words import text_of, words_of


def words(*tokens: str | bytes) -> list[str]:
    contents = [token.encode() if isinstance(token, str) else token for token in tokens]
    return [text_of(contents, span) for span in words_of(contents)]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["A", " cach", "orra", " viu", " o", " gato"], ["A", "cachorra", "viu", "o", "gato"]),
        (["gato", ",", " e", " ela", "."], ["gato", ",", "e", "ela", "."]),
        (["fim", ".", "\n", "O", " ho", "mem"], ["fim", ".", "", "O", "homem"]),
        ([*"a ma c."], ["a", "ma", "c", "."]),
        ([" cora", b"\xc3", b"\xa7", b"\xc3\xa3", "o"], ["coração"]),
        ([" a", b"\xf0\x9f", b"\x94\xa5", " b"], ["a🔥", "b"]),
        (["disse", "-", "lhe"], ["disse", "-", "lhe"]),
        (["a", b"", "b"], ["a", "", "b"]),
        ([], []),
    ],
)
def test_words(tokens, expected):
    assert words(*tokens) == expected


@given(st.lists(st.binary(max_size=5), max_size=20))
def test_every_token_belongs_to_one_word(contents):
    spans = words_of(contents)
    assert [place for first, end in spans for place in range(first, end)] == list(
        range(len(contents))
    )


@given(st.lists(st.text("abçã9", min_size=1, max_size=6), min_size=1, max_size=8), st.randoms())
def test_words_do_not_depend_on_how_they_are_cut(text, random):
    content = " ".join(text).encode()
    cuts = sorted(random.sample(range(1, len(content)), random.randrange(len(content))))
    # A token holds no more than one word, as no tokenizer of ours makes any.
    cuts = sorted({*cuts, *(place for place, byte in enumerate(content) if byte == 32)} - {0})
    contents = [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    assert [text_of(contents, span) for span in words_of(contents)] == text

"""Keys and signatures: alike for alike texts on every machine, and shared as often as the theory says."""

import random

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from kgpt.text import signatures as module
from kgpt.text.signatures import (
    BANDS,
    ROWS,
    combine_keys,
    document_key,
    lone_signature,
    signature,
    signatures,
)
from tests.kgpt.text.hard_text import hard_text

FOX = "A raposa marrom, rápida e esperta, salta por cima do cão preguiçoso que dorme à sombra."


def words(count: int, seed: int) -> list[str]:
    """`count` different words."""
    dealer = random.Random(seed)
    return [f"{''.join(dealer.choices('abcdeilmnorstu', k=6))}{place}" for place in range(count)]


def share_a_band(first: str, second: str) -> bool:
    return bool((signature(first) == signature(second)).any())


def test_numbers_are_the_same_on_every_machine() -> None:
    assert document_key("Olá, mundo") == 4162943030084051314
    assert combine_keys([1, 2]) == 11868681386100499350
    assert signature(FOX).tolist()[:2] == [1674212249344714216, 4347203536295423565]
    assert signature("olá").tolist()[:2] == [18070377759601506041, 14116329750699881317]


@given(st.lists(hard_text, max_size=6))
@settings(max_examples=200, deadline=None)
def test_many_texts_have_the_signatures_of_each(texts: list[str]) -> None:
    together = signatures(texts)
    assert together.shape == (len(texts), BANDS)
    assert together.dtype == np.uint64
    for text, row in zip(texts, together, strict=True):
        assert (signature(text) == row).all()


def test_case_punctuation_and_white_space_do_not_count() -> None:
    assert (signature(FOX) == signature(FOX.upper().replace(",", " —\n\t").replace(".", "!"))).all()


def test_words_and_their_order_count() -> None:
    one, other = FOX.split(), FOX.split()[::-1]
    assert not share_a_band(" ".join(one), " ".join(other))
    assert not share_a_band("a b", "b a")


def test_few_words_are_near_to_the_same_words_alone() -> None:
    assert (signature("Olá, mundo!") == signature("olá mundo")).all()
    assert not share_a_band("olá mundo", "olá mundo cruel")
    assert not share_a_band("olá", "oi")
    assert not share_a_band("a", "a a")


def test_texts_without_words_are_near_to_their_copies_alone() -> None:
    assert not share_a_band("!!!", "???")
    assert (signature("!!!") == signature("!!!")).all()
    assert not share_a_band("", "\n")


def test_scripts_without_spaces_have_a_word_a_character() -> None:
    text = "".join(chr(0x4E00 + place * 7) for place in range(200))
    assert share_a_band(text, text[:-1] + "。")
    assert not share_a_band(text, text[::-1])


def test_a_long_text_has_the_same_signature_however_it_is_taken_apart() -> None:
    text = " ".join(words(9000, 1))
    whole = signature(text)
    for size in (100, 1000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_TEXT_CHARACTERS", size)
            assert (signature(text) == whole).all()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SHINGLES", 17)
        assert (signature(text) == whole).all()
    assert signatures(["x" * 200_000, "İ" * 40_000, text])[2].tolist() == whole.tolist()


def test_lone_signatures_are_shared_by_equal_keys_alone() -> None:
    assert (lone_signature(5) == lone_signature(5)).all()
    assert not (lone_signature(5) == lone_signature(6)).any()
    assert lone_signature(2**64 - 1).shape == (BANDS,)


@pytest.mark.parametrize(
    ("num_words", "edits"), [(204, 4), (204, 2), (104, 2), (204, 8), (404, 30)]
)
def test_bands_are_shared_as_often_as_the_theory_says(num_words: int, edits: int) -> None:
    """Pairs of texts of different words, a few of them replaced far apart: each edit changes five shingles."""
    trials, shared = 300, 0
    for trial in range(trials):
        one = words(num_words, trial)
        other = list(one)
        for place in range(edits):
            other[5 + place * (num_words - 10) // edits] = f"outra{trial}{place}"
        shingles = [
            {tuple(text[at : at + 5]) for at in range(num_words - 4)} for text in (one, other)
        ]
        similarity = len(shingles[0] & shingles[1]) / len(shingles[0] | shingles[1])
        shared += share_a_band(" ".join(one), " ".join(other))
    expected = 1 - (1 - similarity**ROWS) ** BANDS
    spread = (expected * (1 - expected) / trials) ** 0.5
    assert abs(shared / trials - expected) < 4 * spread + 0.01, (similarity, expected)


@given(
    st.lists(st.integers(0, 2**64 - 1), max_size=5), st.lists(st.integers(0, 2**64 - 1), max_size=5)
)
def test_keys_of_pieces_combine_in_their_order(one: list[int], other: list[int]) -> None:
    assert (combine_keys(one) == combine_keys(other)) == (one == other)

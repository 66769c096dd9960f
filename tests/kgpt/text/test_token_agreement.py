"""Four readers of one tokenizer give the same ids on texts that tokenizers get wrong."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import hypothesis.strategies as st
import pytest
import tiktoken
from hard_text import END, HARD, TRAINING_TEXT, hard_part, hard_text
from hypothesis import HealthCheck, Phase, given, settings
from tokenizers import Tokenizer as HuggingFaceTokenizer

from kgpt.text.pieces import pieces
from kgpt.text.pretokenization import PRE_TOKENIZATIONS
from kgpt.text.tokenizer import PROMPT_LENGTH, Tokenizer

tf = pytest.importorskip("tensorflow")

from kgpt.text.graph_tokenizer import GraphTokenizer  # noqa: E402

TEXTS = 20_000
Encode = Callable[[Sequence[str]], list[list[int]]]


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    """At least `TEXTS` different texts: whatever lies together in generated rows of hard parts."""
    found: dict[str, None] = dict.fromkeys(["", *HARD])

    @settings(
        max_examples=100_000,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(hard_part, min_size=8, max_size=14))
    def collect(parts: list[str]) -> None:
        if len(found) >= TEXTS:
            raise _Enough
        for start, end in itertools.combinations(range(len(parts) + 1), 2):
            found["".join(parts[start:end])] = None

    with pytest.raises(_Enough):
        collect()
    return list(found)


class _Enough(Exception):
    """The corpus is large enough."""


@pytest.fixture(scope="module", params=PRE_TOKENIZATIONS)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    """One for each pre-tokenization, with a vocabulary laid out as GPT-2's."""
    return Tokenizer.train([TRAINING_TEXT], 700, pre_tokenization=request.param)


@pytest.fixture(scope="module")
def ids(tokenizer: Tokenizer, corpus: list[str]) -> list[list[int]]:
    return tokenizer.encode_batch(corpus)


def mismatches(
    corpus: list[str], ids: list[list[int]], others: list[list[int]]
) -> list[tuple[str, list[int], list[int]]]:
    assert len(corpus) == len(ids) == len(others)
    return [row for row in zip(corpus, ids, others, strict=True) if row[1] != row[2]]


def test_tiktoken_agrees(tokenizer: Tokenizer, corpus: list[str], ids: list[list[int]]) -> None:
    ranks = {tokenizer.token_bytes(token): token for token in range(tokenizer.end_of_text)}
    peer = tiktoken.Encoding(
        "peer",
        pat_str=PRE_TOKENIZATIONS[tokenizer.pre_tokenization].pattern,
        mergeable_ranks=ranks,
        special_tokens={END: tokenizer.end_of_text},
    )
    assert len(corpus) >= TEXTS
    assert not mismatches(corpus, ids, peer.encode_ordinary_batch(corpus))


def test_hugging_face_agrees(
    tokenizer: Tokenizer, corpus: list[str], ids: list[list[int]], tmp_path: Path
) -> None:
    tokenizer.save(tmp_path)
    peer = HuggingFaceTokenizer.from_file(str(tmp_path / "tokenizer.json"))
    peer.encode_special_tokens = True  # text stays text, as in kgpt
    found = peer.encode_batch_fast(corpus, add_special_tokens=False)
    assert not mismatches(corpus, ids, [encoding.ids for encoding in found])


def test_the_graph_agrees(tokenizer: Tokenizer, corpus: list[str], ids: list[list[int]]) -> None:
    layer = GraphTokenizer(tokenizer)
    found: list[list[int]] = []
    for start in range(0, len(corpus), 1000):
        texts = [text.encode() for text in corpus[start : start + 1000]]
        encoded = layer(tf.constant(texts))
        assert layer.detokenize(encoded).numpy().tolist() == texts
        found += encoded.to_list()
    assert not mismatches(corpus, ids, found)


def test_decoding_gives_the_bytes(
    tokenizer: Tokenizer, corpus: list[str], ids: list[list[int]]
) -> None:
    assert [tokenizer.decode_bytes(row) for row in ids] == [text.encode() for text in corpus]
    assert not any(tokenizer.end_of_text in row for row in ids)


def test_alone_or_in_a_batch(tokenizer: Tokenizer, corpus: list[str], ids: list[list[int]]) -> None:
    some = slice(0, 2000)
    assert [tokenizer.encode(text) for text in corpus[some]] == ids[some]
    for text, row in list(zip(corpus, ids, strict=True))[:200]:
        assert tokenizer.encode_bytes(text) == _as_bytes(tokenizer, row)
    whole = "\n\n".join(corpus[some])
    assert len(whole) > PROMPT_LENGTH
    assert tokenizer.encode_bytes(whole) == _as_bytes(tokenizer, tokenizer.encode(whole))
    batch = tokenizer.encode_batch_bytes(corpus[some])
    assert batch == [_as_bytes(tokenizer, row) for row in ids[some]]


def test_every_character(tokenizer: Tokenizer) -> None:
    """Each code point beside letters, digits, marks and white space; `tokenizers` is the judge."""
    points = [*range(0x800), *range(0x800, 0x40000, 17), *range(0x40000, 0x110000, 1009)]
    characters = [chr(point) for point in points if not 0xD800 <= point < 0xE000]
    texts = [f"a{c}a {c}{c} 1{c}1!{c}!\n{c}\n {c}\t{c}'{c}" for c in characters]
    expected = tokenizer.backend.encode_batch_fast(texts, add_special_tokens=False)
    found = tokenizer.encode_batch(texts)
    assert not mismatches(texts, found, [encoding.ids for encoding in expected])


@settings(max_examples=100, deadline=None)
@given(text=hard_text, length=st.integers(1, 6))
def test_pieces_have_the_tokens_of_the_whole(tokenizer: Tokenizer, text: str, length: int) -> None:
    parts = list(pieces(text, length))
    assert "".join(parts) == text
    assert [token for ids in tokenizer.encode_batch(parts) for token in ids] == tokenizer.encode(
        text
    )


def _as_bytes(tokenizer: Tokenizer, ids: list[int]) -> bytes:
    size = tokenizer.dtype.itemsize
    return b"".join(token.to_bytes(size, "little") for token in ids)

"""The fast path's tables: right answers, bounded memory."""

from __future__ import annotations

import random
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import hypothesis.strategies as st
import numpy as np
import pytest
from hard_text import HARD, TRAINING_TEXT, hard_text
from hypothesis import given, settings

from kgpt.text import encoder as encoder_module
from kgpt.text.chunk_table import KEY_BYTES, ChunkTable, keys_of
from kgpt.text.chunking import chunk_starts
from kgpt.text.pretokenization import PRE_TOKENIZATIONS
from kgpt.text.tokenizer import Tokenizer


def _keys(strings: list[bytes]) -> np.ndarray:
    padded = np.frombuffer(b"".join(strings) + bytes(KEY_BYTES + 1), np.uint8)
    lengths = np.array([len(string) for string in strings], np.intp)
    return keys_of(padded, np.cumsum(lengths) - lengths, lengths)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sets(st.binary(min_size=1, max_size=KEY_BYTES), min_size=1), max_size=5),
    st.lists(st.binary(min_size=1, max_size=KEY_BYTES), min_size=1),
)
def test_a_table_is_a_dictionary(batches: list[set[bytes]], others: list[bytes]) -> None:
    table, expected = ChunkTable(), dict[bytes, int]()
    for batch in batches:
        new = [string for string in batch if string not in expected]
        numbers = np.arange(len(new), dtype=np.uint64) + np.uint64(len(expected) + 1)
        if new:
            table.add(_keys(new), numbers)
        expected |= dict(zip(new, numbers.tolist(), strict=True))
        asked = [*expected, *others]
        assert table.find(_keys(asked)).tolist() == [expected.get(string, 0) for string in asked]
    assert table.count == len(expected)


def test_a_table_grows_and_finds_everything_again() -> None:
    strings = [f"{number:x}".encode() for number in range(100_000)]
    table, keys = ChunkTable(), _keys(strings)
    numbers = np.arange(1, len(strings) + 1, dtype=np.uint64)
    for start in range(0, len(strings), 7000):
        table.add(keys[start : start + 7000], numbers[start : start + 7000])
    assert (table.find(keys) == numbers).all()
    assert not table.find(_keys([string + b"\0" for string in strings[:1000]])).any()


def test_strings_that_are_too_long_are_not_found() -> None:
    long = b"a" * (KEY_BYTES + 1)
    table = ChunkTable()
    table.add(_keys([long[:KEY_BYTES]]), np.array([1], np.uint64))
    assert table.find(_keys([long[:KEY_BYTES], long, long * 20])).tolist() == [1, 0, 0]


@pytest.mark.parametrize("rule", PRE_TOKENIZATIONS.values(), ids=list(PRE_TOKENIZATIONS))
@settings(max_examples=200, deadline=None)
@given(texts=st.lists(hard_text, min_size=1, max_size=4))
def test_the_words_of_chunks_are_the_words_of_the_text(rule, texts: list[str]) -> None:
    encoded = [text.encode() for text in texts]
    content = b"".join(encoded)
    if not content:
        return
    ends = np.cumsum([len(text) for text in encoded])
    starts = chunk_starts(np.frombuffer(content, np.uint8), ends, rule.line_ends_join).tolist()
    assert {0, *ends[:-1].tolist()} - {len(content)} <= set(starts)
    chunks = [
        content[a:b].decode() for a, b in zip(starts, [*starts[1:], len(content)], strict=True)
    ]
    assert [w for c in chunks for w in rule.words([c])] == [
        w for t in texts for w in rule.words([t])
    ]


def test_full_tables_are_emptied_and_the_ids_stay_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_module, "BLOCK_BYTES", 400)
    monkeypatch.setattr(encoder_module, "MOST_CHUNKS", 50)
    tokenizer = Tokenizer.train([TRAINING_TEXT], 700)
    text = TRAINING_TEXT + " ".join(HARD) + TRAINING_TEXT
    parts = [text[start : start + 300] for start in range(0, len(text), 300)]
    assert tokenizer.encode_batch(parts) == [
        tokenizer.backend.encode(part, add_special_tokens=False).ids for part in parts
    ]
    assert tokenizer._encoder._table.count < 200


def test_memory_is_bounded_on_text_that_never_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_module, "MOST_CHUNKS", 1 << 11)
    monkeypatch.setattr(encoder_module, "MOST_WORD_BYTES", 1 << 19)
    tokenizer = Tokenizer.train([TRAINING_TEXT], 300)
    randomness = random.Random(0)

    def encode_much() -> int:
        tracemalloc.reset_peak()
        for _ in range(4):
            words = (f"{randomness.getrandbits(60):x}" for _ in range(3_000))
            tokenizer.encode_bytes(" ".join(words))
        return tracemalloc.get_traced_memory()[1]

    tracemalloc.start()
    try:
        first = encode_much()
        assert encode_much() < 1.2 * first
    finally:
        tracemalloc.stop()


def test_threads_share_an_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gets its own text's ids, also where the tables grow and are forgotten meanwhile."""
    monkeypatch.setattr(encoder_module, "MOST_CHUNKS", 3000)
    chance = random.Random(5)
    texts = [
        " ".join(f"{chance.choice('abcdef')}{chance.randrange(10**6):x}" for _ in range(3000))
        for _ in range(24)
    ]
    shared = Tokenizer.train([TRAINING_TEXT], 400)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(shared.encode, texts))
    alone = Tokenizer.train([TRAINING_TEXT], 400)
    assert found == [alone.encode(text) for text in texts]

"""Texts to numbers that find copies: keys of exact copies, MinHash signatures of near ones.

In: texts. Out: a 64-bit key a document, and `BANDS` 64-bit hashes a document that two documents share the more likely,
the more of their five-word sequences they have in common. The same text gives the same numbers on every machine.

The method is MinHash (Broder 1997, "On the resemblance and containment of documents") over the shingles that Lee et
al. 2022 ("Deduplicating Training Data Makes Language Models Better") take, five words, with locality-sensitive banding.
Two documents whose sets of shingles have the Jaccard similarity s share a band with the probability
1 - (1 - s**ROWS)**BANDS:

    s            0.5   0.6   0.7   0.75  0.8   0.85  0.9   0.95
    probability  0.00  0.02  0.13  0.28  0.51  0.78  0.96  1.00
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

BANDS = 10
"""Hashes in a signature."""
ROWS = 12
"""Minima in a band."""
SHINGLE_WORDS = 5

Words = NDArray[np.uint64]

_HASHES = BANDS * ROWS
_TEXT_CHARACTERS = 1 << 15  # at once: what fits into a core's cache is faster
_SHINGLES = 2048  # at once, times _HASHES minima
_MIX = (
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)  # of SplitMix64 (Steele et al. 2014)
_POWER = 0x9E3779B97F4A7C15
_STEPS = np.array([pow(0xD1342543DE82EF95, place + 1, 1 << 64) for place in range(ROWS)], np.uint64)

# Characters between words: ASCII but letters and digits, and the blocks of punctuation, symbols and spaces. Ranges
# written down, since `str.isalnum` changes with Python's version of Unicode.
_BETWEEN = (
    *(
        (0x00, 0x2F),
        (0x3A, 0x40),
        (0x5B, 0x60),
        (0x7B, 0xA9),
        (0xAB, 0xB1),
        (0xB4, 0xB4),
        (0xB6, 0xB8),
    ),
    *(
        (0xBB, 0xBB),
        (0xBF, 0xBF),
        (0xD7, 0xD7),
        (0xF7, 0xF7),
        (0x60C, 0x60D),
        (0x61B, 0x61F),
        (0x6D4, 0x6D4),
    ),
    *(
        (0x964, 0x965),
        (0x2000, 0x206F),
        (0x20A0, 0x20CF),
        (0x2190, 0x2BFF),
        (0x2E00, 0x2E7F),
        (0x3000, 0x303F),
    ),
    *((0xFE00, 0xFE0F), (0xFE30, 0xFE6F), (0xFEFF, 0xFEFF), (0xFF00, 0xFF0F), (0xFF1A, 0xFF20)),
)
# Scripts that put no spaces between words: each character counts as one.
_WITHOUT_SPACES = (
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x9FFF)),
    *((0xF900, 0xFAFF), (0x20000, 0x3FFFF)),
)


def document_key(text: str) -> int:
    """The 64-bit BLAKE2b hash of a text's UTF-8 bytes: equal for equal texts alone, but for one pair in 2**64."""
    return _key(text.encode("utf-8", "surrogatepass"))


def combine_keys(keys: Sequence[int]) -> int:
    """The key of a document that came in pieces, from the keys of the pieces in their order."""
    return _key(b"".join(key.to_bytes(8, "little") for key in keys))


def lone_signature(key: int) -> Words:
    """(BANDS,) a signature from a document's key, which nothing shares but documents with that key.

    For a document that came in pieces: its pieces have signatures, the whole has none.
    """
    return _mixed(_mixed(np.array([key], np.uint64)) + _BAND_NAMES)


def signature(text: str) -> Words:
    """(BANDS,) the signature of one text; `signatures` is faster for many."""
    bands: Words = signatures([text])[0]
    return bands


def signatures(texts: Sequence[str]) -> Words:
    """(len(texts), BANDS) the signatures of texts.

    Case, punctuation and white space do not count. A text of fewer words than a shingle has is one shingle, near to the
    texts with just these words; a text without words is near to its copies alone.
    """
    minima = np.full((len(texts), _HASHES), 0xFFFFFFFF, np.uint32)
    for first, counts, words in _batches(texts):
        _lower(minima[first : first + len(counts)], counts, words)
    bands = minima.reshape(len(texts), BANDS, ROWS).astype(np.uint64)
    return _mixed((bands * _STEPS).sum(axis=2, dtype=np.uint64) + _BAND_NAMES)


def _batches(texts: Sequence[str]) -> Iterator[tuple[int, NDArray[np.int64], Words]]:
    """For runs of texts: the place of the first, how many words each has (`SHINGLE_WORDS` at least), the words' hashes.

    What a text lacks in words is filled with zeros, after the hash of the text itself if it has none.
    """
    first, size, run = 0, 0, list[str]()
    for text in texts:
        if run and size + len(text) > _TEXT_CHARACTERS:
            yield first, *_counted_words(run)
            first, size, run = first + len(run), 0, []
        run.append(text)
        size += len(text) + 1
    if run:
        yield first, *_counted_words(run)


def _counted_words(texts: list[str]) -> tuple[NDArray[np.int64], Words]:
    """How many words each text has, filled up, and the hashes of the words of all."""
    lowered = [text.lower() for text in texts]
    if len(lowered) == 1 and len(lowered[0]) > _TEXT_CHARACTERS:
        words = np.concatenate([_words(part)[1] for part in _parts(lowered[0])])
        counts = np.array([len(words)])
    else:
        starts, words = _words("\n".join(lowered))
        ends = np.cumsum([len(text) + 1 for text in lowered])
        counts = np.diff(np.searchsorted(starts, ends), prepend=0)
    filled = np.maximum(counts, SHINGLE_WORDS)
    if filled.sum() == len(words):
        return counts, words
    places = np.cumsum(filled) - filled
    result = np.zeros(filled.sum(), np.uint64)
    result[np.repeat(places - (np.cumsum(counts) - counts), counts) + np.arange(len(words))] = words
    for index in np.flatnonzero(counts == 0):
        result[places[index]] = document_key(texts[index])
    return filled, result


def _parts(text: str) -> Iterator[str]:
    """A long text in parts of at most `_TEXT_CHARACTERS`, cut at spaces where there are any."""
    start = 0
    while start < len(text):
        end = start + _TEXT_CHARACTERS
        if end < len(text):
            end = max(text.rfind(" ", start, end), text.rfind("\n", start, end)) + 1 or end
        yield text[start:end]
        start = end


def _words(text: str) -> tuple[NDArray[np.int64], Words]:
    """Where the words of a text in lower case start, and their hashes: polynomials in the characters, mixed."""
    characters = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    kinds = _KINDS[characters]
    before = np.zeros_like(kinds)
    before[1:] = kinds[:-1]
    starts = np.flatnonzero((kinds == 2) | ((kinds == 1) & (before != 1)))
    if not len(starts):
        return starts, np.zeros(0, np.uint64)
    powers, inverses = _POWERS
    terms = (characters * (kinds > 0)) * powers[: len(characters)]
    return starts, _mixed(np.add.reduceat(terms, starts) * inverses[starts])


def _lower(minima: NDArray[np.uint32], counts: NDArray[np.int64], words: Words) -> None:
    """Lower `minima` (D, HASHES) to those of the shingles of documents with `counts` (D,) words each."""
    last = len(words) - SHINGLE_WORDS + 1
    sums = words[:last] * _STEPS[0]
    for place in range(1, SHINGLE_WORDS):
        sums += words[place : place + last] * _STEPS[place]
    is_whole = np.ones(last, bool)
    across = (np.cumsum(counts)[:-1, None] - np.arange(1, SHINGLE_WORDS)).ravel()
    is_whole[across] = False
    shingles = (_mixed(sums)[is_whole] >> np.uint64(32)).astype(np.uint32)
    ends = np.cumsum(counts - SHINGLE_WORDS + 1)
    starts = ends - (counts - SHINGLE_WORDS + 1)
    for begin in range(0, len(shingles), _SHINGLES):
        block = shingles[begin : begin + _SHINGLES]
        first = int(np.searchsorted(ends, begin, "right"))
        stop = int(np.searchsorted(starts, begin + len(block), "left"))
        hashes = block * _FACTORS[:, None] + _SUMMANDS[:, None]
        lowest = np.minimum.reduceat(hashes, np.maximum(starts[first:stop] - begin, 0), axis=1)
        np.minimum(minima[first:stop], lowest.T, out=minima[first:stop])


def _key(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def _mixed(values: Words) -> Words:
    """SplitMix64's finisher: every bit of a value changes about half of the bits."""
    values = (values ^ (values >> np.uint64(30))) * _MIX[0]
    values = (values ^ (values >> np.uint64(27))) * _MIX[1]
    return values ^ (values >> np.uint64(31))


def _kinds() -> NDArray[np.uint8]:
    """(1114112,) what each character is: 0 between words, 1 of a word, 2 a word of its own."""
    kinds = np.ones(0x110000, np.uint8)
    for first, last in _BETWEEN:
        kinds[first : last + 1] = 0
    for first, last in _WITHOUT_SPACES:
        kinds[first : last + 1] = 2
    return kinds


def _powers(size: int) -> tuple[Words, Words]:
    """(size,) the powers of `_POWER` modulo 2**64, and their inverses."""
    steps = np.ones((2, size), np.uint64)
    steps[0, 1:] = _POWER
    steps[1, 1:] = pow(_POWER, -1, 1 << 64)
    powers = np.cumprod(steps, axis=1, dtype=np.uint64)
    return powers[0], powers[1]


_KINDS = _kinds()
_POWERS = _powers(2 * _TEXT_CHARACTERS)
_BAND_NAMES = np.arange(1, BANDS + 1, dtype=np.uint64) << np.uint64(32)
_FACTORS, _SUMMANDS = np.frombuffer(
    hashlib.shake_128(b"minima").digest(8 * _HASHES), "<u4"
).reshape(2, _HASHES) | np.array([[1], [0]], np.uint32)

"""Portuguese text of any length for benchmarks: the built-in encyclopedia, over and over, each time worded otherwise.

Some words are changed by chance, so that rare words never end: a text of few different words would flatter tokenizers
that remember words, and could not support a large vocabulary.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path

ARTICLES = 12
"""Articles of the encyclopedia in a document, which then has about 2.5 KB."""
CHANGED = 0.03
"""Share of the words that are changed."""
SYLLABLES = [a + b + c for a in "bcdfglmnprstvz" for b in "aeiouãéô" for c in ("", "r", "s", "n")]


def documents(size: int) -> Iterator[str]:
    """Documents of `size` bytes in all, or a little more; each has lines and none has an empty one."""
    from kgpt.text import encyclopedia

    chance = random.Random(1)
    for seed in count(1):
        articles = encyclopedia.documents(seed)
        while part := list(islice(articles, ARTICLES)):
            document = "\n".join(part).replace("\n\n", "\n").strip()
            document = changed(document, chance)
            yield document
            size -= len(document.encode())
            if size <= 0:
                return


def changed(document: str, chance: random.Random) -> str:
    """The document with a syllable more in some of its words."""
    words = document.split(" ")
    for _ in range(round(len(words) * CHANGED)):
        index = chance.randrange(len(words))
        word = words[index]
        place = chance.randrange(len(word) + 1)
        words[index] = word[:place] + chance.choice(SYLLABLES) + word[place:]
    return " ".join(words)


def write_text(path: Path, texts: Sequence[str], size: int) -> int:
    """Write `texts`, again and again with other words changed, up to `size` bytes, an empty line after each.

    Returns the bytes of the documents alone.
    """
    chance = random.Random(2)
    total = 0
    with open(path, "wb") as file:
        for number in count():
            document = texts[number % len(texts)]
            if number >= len(texts):
                document = changed(document, chance)
            data = document.encode()
            total += len(data)
            file.write(data + b"\n\n")
            if number + 1 >= len(texts) and total >= size:
                return total

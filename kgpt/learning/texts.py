"""Text to work on, made on the spot from the built-in encyclopedia: a size in, Portuguese out, nothing downloaded."""

from __future__ import annotations

import re

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def corpus(size: int = 200_000, seed: int = 1) -> str:
    """Articles of the encyclopedia, a blank line between them; the same for the same seed.

    Args:
        size: bytes of UTF-8; the last article may go past it. The whole encyclopedia has 3.4 million.
        seed: which articles, and their order.
    """
    from kgpt.text.encyclopedia.compose import write_documents
    from kgpt.text.encyclopedia.tables import load_subjects

    return "\n\n".join(write_documents(load_subjects(), seed, target_bytes=size))


def sentences(size: int = 200_000, seed: int = 1) -> list[str]:
    """The sentences of `corpus(size, seed)` in their order, without titles."""
    paragraphs = (line for line in corpus(size, seed).split("\n") if line.endswith((".", "!", "?")))
    return [sentence for line in paragraphs for sentence in _SENTENCE_END.split(line)]

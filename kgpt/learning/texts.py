"""Text to work on, made on the spot from the built-in encyclopedia: a size in, Portuguese out, nothing downloaded."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kgpt.errors import KgptError
from kgpt.language import _

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def corpus(size: int = 200_000, seed: int = 1, subjects: Sequence[str] = ()) -> str:
    """Articles of the encyclopedia, a blank line between them; the same for the same seed.

    Args:
        size: bytes of UTF-8; the last article may go past it. The whole encyclopedia has 3.4 million.
        seed: which articles, and their order.
        subjects: of what, such as `countries` and `rivers`; everything without it.

    Raises:
        KgptError: there is no such subject.
    """
    from kgpt.text.encyclopedia.compose import write_documents
    from kgpt.text.encyclopedia.tables import load_subjects

    known = {subject.key: subject for subject in load_subjects()}
    unknown = [key for key in subjects if key not in known]
    if unknown:
        raise KgptError(
            _("Unknown subject"),
            _(
                "Expected some of {expected}. Received: {received}",
                expected=", ".join(known),
                received=", ".join(unknown),
            ),
            _("Without subjects, the text is about everything."),
        )
    chosen = [known[key] for key in subjects or known]
    return "\n\n".join(write_documents(chosen, seed, target_bytes=size))


def sentences(size: int = 200_000, seed: int = 1, subjects: Sequence[str] = ()) -> list[str]:
    """The sentences of `corpus(size, seed, subjects)` in their order, without titles."""
    text = corpus(size, seed, subjects)
    paragraphs = (line for line in text.split("\n") if line.endswith((".", "!", "?")))
    return [sentence for line in paragraphs for sentence in _SENTENCE_END.split(line)]

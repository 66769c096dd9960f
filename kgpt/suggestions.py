"""What somebody may have meant: a word that is not known and those that are in, a question out."""

from __future__ import annotations

from collections.abc import Iterable

from kgpt.language import _


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """A question to put behind a sentence about a word that is not known; empty where nothing known is like it."""
    import difflib  # whoever makes no mistake need not wait for it

    near = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return _(" Did you mean {near}?", near=near[0]) if near else ""

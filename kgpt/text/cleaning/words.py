"""Cleaning of words: stop words go, words become stems."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from kgpt.language import _
from kgpt.packages import optional_package
from kgpt.text.cleaning.values import (
    LANGUAGE_NAMES,
    Change,
    one_of,
    word_list,
)

_BETWEEN_WORDS = re.compile(r"([^\w'’]+)")
"""What lies between words; an apostrophe inside a word belongs to it."""
_STEMS = 1 << 18


def stop_words(value: str) -> Change:
    """Words of a list go, and the spaces that they leave; case does not count.

    Raises:
        KgptError: there is no list or file of that name.
    """
    if Path(value).is_file():
        listed = word_list(value, "stop-words")
    else:
        stop_words_package = optional_package(
            "stop_words", "clean", _("The cleaning step stop-words")
        )
        names = set(stop_words_package.AVAILABLE_LANGUAGES)
        codes = {code for code, name in LANGUAGE_NAMES.items() if name in names}
        one_of(value, codes, "stop-words", _("a language or an existing file"))
        listed = frozenset(
            word.lower() for word in stop_words_package.get_stop_words(LANGUAGE_NAMES[value])
        )

    listed |= {word.replace("'", "’") for word in listed}

    def change(text: str) -> str:
        parts = _BETWEEN_WORDS.split(text)
        parts.append("")
        going = [place for place in range(0, len(parts), 2) if parts[place].lower() in listed]
        for place in going:
            before = parts[place - 1] if place else ""
            after = parts[place + 1]
            if place:
                parts[place - 1] = ""
            parts[place] = ""
            parts[place + 1] = _joined(before, after)
        return "".join(parts) if going else text

    return change


def _joined(before: str, after: str) -> str:
    """What lies before and after a word that goes, without the space that went with it."""
    if before.endswith(" ") and (not after or after[0] in " \n,.;:!?)"):
        return before[:-1] + after
    if not before or before[-1] in "\n\t([{«“":
        return before + after.removeprefix(" ")
    return before + after


def stem(value: str) -> Change:
    """Words become their stems by Snowball's algorithm for a language.

    Raises:
        KgptError: there is no algorithm for the language.
    """
    snowball = optional_package("snowballstemmer", "clean", _("The cleaning step stem"))
    names = set(snowball.algorithms())
    codes = {code for code, name in LANGUAGE_NAMES.items() if name in names}
    one_of(value, codes, "stem", _("the code of a language"))
    stemmer = snowball.stemmer(LANGUAGE_NAMES[value])

    @lru_cache(_STEMS)
    def stem_of(word: str) -> str:
        inner = word.strip("'’")
        return word.replace(inner, stemmer.stemWord(inner.lower())) if inner else word

    def change(text: str) -> str:
        parts = _BETWEEN_WORDS.split(text)
        parts[::2] = map(stem_of, parts[::2])
        return "".join(parts)

    return change

"""Filters: documents that are too short or too long, in another language, or full of listed words.

Only a whole document is judged; a piece of a longer one passes, but it tells that the document is longer than any
`max-length`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from kgpt.language import _
from kgpt.packages import optional_package
from kgpt.text.cleaning.values import (
    Keep,
    bad_value,
    one_of,
    whole_number,
    word_list,
    words_of,
)
from kgpt.text.documents import PIECE_CHARACTERS

_SAMPLE_CHARACTERS = 500
OFFENSIVE_PERCENT = 1.0
SPAM_PERCENT = 5.0
SPAM_WORDS = 2


def min_length(value: str) -> Keep:
    """Documents of `value` characters and more stay."""
    shortest = whole_number(value, "min-length", PIECE_CHARACTERS)
    return lambda text, is_whole: not is_whole or len(text) >= shortest


def max_length(value: str) -> Keep:
    """Documents of `value` characters and fewer stay."""
    longest = whole_number(value, "max-length", PIECE_CHARACTERS)
    return lambda text, is_whole: is_whole and len(text) <= longest


def language(value: str) -> Keep:
    """Documents stay that py3langid takes for one of the languages joined by `+`.

    A long document is judged by its beginning, middle and end. Of few characters nobody can tell a language: of
    sentences with 30 to 60 characters about one in thirty is taken for another, of those with 120 one in two hundred.

    Raises:
        KgptError: a language is not known.
    """
    identifier = _identifier(
        optional_package("py3langid.langid", "clean", _("The cleaning step language"))
    )
    wanted = {
        one_of(code, identifier.labels, "language", _("codes of languages joined by +"))
        for code in value.split("+")
    }

    def keep(text: str, is_whole: bool) -> bool:
        return not is_whole or identifier.classify(_sample(text))[0] in wanted

    return keep


@cache
def _identifier(langid: ModuleType) -> Any:
    """py3langid's model, loaded once: that takes most of a second."""
    return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE)


def _sample(text: str) -> str:
    size = _SAMPLE_CHARACTERS
    if len(text) <= 3 * size:
        return text
    middle = (len(text) - size) // 2
    return f"{text[:size]} {text[middle : middle + size]} {text[-size:]}"


def spam_words(value: str) -> Keep:
    """Documents stay unless two different listed words or phrases occur, and listed ones are a share of the words."""
    listed = _Listed.parse(value, "spam-words", "spam", SPAM_PERCENT)
    return lambda text, is_whole: not is_whole or not listed.fills(text, SPAM_WORDS)


def offensive_words(value: str) -> Keep:
    """Documents stay unless the listed words and phrases are a share of the words."""
    listed = _Listed.parse(value, "offensive-words", "offensive", OFFENSIVE_PERCENT)
    return lambda text, is_whole: not is_whole or not listed.fills(text, 1)


@dataclass(frozen=True)
class _Listed:
    """Words and phrases that count, and from which share of a document's words on."""

    words: frozenset[str]
    phrases: tuple[str, ...]
    percent: float

    @classmethod
    def parse(cls, value: str, step: str, shipped: str, percent: float) -> _Listed:
        """From `LIST[+LIST...][:PERCENT]`."""
        names, colon, share = value.rpartition(":")
        if colon and not Path(value).is_file():
            value = names
            try:
                percent = float(share)
            except ValueError:
                percent = -1.0
            if not 0 < percent <= 100:
                raise bad_value(
                    step,
                    share,
                    _("a percentage above 0 and up to 100"),
                    _("Write {step}=pt:2, for instance.", step=step),
                )
        entries = word_list(value, step, shipped)
        phrases = tuple(sorted(f" {entry} " for entry in entries if " " in entry))
        return cls(frozenset(entry for entry in entries if " " not in entry), phrases, percent)

    def fills(self, text: str, least: int) -> bool:
        """Whether `least` different entries occur in a text, and all together are the share of its words."""
        words = words_of(text)
        found = [word for word in words if word in self.words]
        different, count = len(set(found)), len(found)
        if self.phrases:
            spaced = f" {' '.join(words)} "
            for phrase in self.phrases:
                if phrase in spaced:
                    different += 1
                    count += spaced.count(phrase) * (phrase.count(" ") - 1)
        return different >= least and count * 100 >= self.percent * len(words)

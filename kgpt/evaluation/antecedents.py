"""Sentences whose pronoun has one possible antecedent, in Portuguese and English; and whether a score finds it.

In: a language and a number. Out: `Sentence`s with two nouns, of which only one agrees with the pronoun, and shares of
right choices with their chance. In half of the sentences the antecedent is the first noun, in half the second, and both
genders come as often: whoever always takes the nearest noun is right by chance. Standard library only.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Language = Literal["pt", "en"]

LANGUAGES: tuple[Language, ...] = ("pt", "en")
CHANCE = 0.5

MASCULINE, FEMININE = 0, 1
_PRONOUNS = {"pt": ("ele", "ela"), "en": ("he", "she")}
_ARTICLES = {"pt": (("O", "A"), ("o", "a")), "en": (("The", "The"), ("the", "the"))}
"""At a sentence's beginning, and inside it; by gender."""
_NOUNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "pt": (
        tuple("homem menino rapaz pai filho irmão marido padre rei velho amigo moço".split()),
        tuple("mulher menina moça mãe filha irmã esposa viúva rainha velha amiga senhora".split()),
    ),
    "en": (
        tuple("man boy king father son brother husband uncle prince lord gentleman monk".split()),
        tuple("woman girl queen mother daughter sister wife aunt princess lady widow nun".split()),
    ),
}
_VERBS = {
    "pt": tuple("viu ouviu encontrou procurou esperou deixou chamou conhecia amava seguiu".split()),
    "en": tuple("saw heard met found left called knew loved followed remembered".split()),
}
_LINKS = {
    "pt": (", e", " quando", " porque", ", mas"),
    "en": (", and", " when", " because", ", but"),
}


@dataclass(frozen=True)
class Sentence:
    """A sentence up to its pronoun."""

    language: Language
    before: str
    """`A menina viu o rei, e`."""
    pronoun: str
    """With the space before it: ` ela`."""
    other_pronoun: str
    """The one that would mean the other noun: ` ele`."""
    nouns: tuple[str, str]
    """In their order."""
    antecedent: int
    """Place of the pronoun's noun among them, 0 or 1."""

    @property
    def text(self) -> str:
        """`A menina viu o rei, e ela`."""
        return self.before + self.pronoun


def sentences(language: Language, count: int, seed: int = 0) -> list[Sentence]:
    """So many different sentences, a fourth of each kind: gender of the pronoun, and place of its noun.

    Raises:
        ValueError: there are not so many.
    """
    kinds = list(itertools.product((MASCULINE, FEMININE), (0, 1)))
    nouns, verbs, links = _NOUNS[language], _VERBS[language], _LINKS[language]
    sizes = (len(nouns[0]), len(nouns[1]), len(verbs), len(links))
    if not 0 <= count <= len(kinds) * math.prod(sizes):
        raise ValueError(
            f"There are {len(kinds) * math.prod(sizes)} sentences. Received: count={count}"
        )
    chance = random.Random(f"{language}-{seed}")
    drawn = {
        kind: chance.sample(range(math.prod(sizes)), -(-count // len(kinds))) for kind in kinds
    }
    return [
        _sentence(language, *kinds[number % 4], drawn[kinds[number % 4]][number // 4])
        for number in range(count)
    ]


def _sentence(language: Language, gender: int, antecedent: int, number: int) -> Sentence:
    nouns, verbs, links = _NOUNS[language], _VERBS[language], _LINKS[language]
    number, link = divmod(number, len(links))
    number, verb = divmod(number, len(verbs))
    masculine, feminine = divmod(number, len(nouns[FEMININE]))
    by_gender = (nouns[MASCULINE][masculine], nouns[FEMININE][feminine])
    first_gender = gender if antecedent == 0 else 1 - gender
    first, second = by_gender[first_gender], by_gender[1 - first_gender]
    at_first, inside = _ARTICLES[language]
    before = f"{at_first[first_gender]} {first} {verbs[verb]} {inside[1 - first_gender]} {second}{links[link]}"
    pronouns = _PRONOUNS[language]
    return Sentence(
        language,
        before,
        f" {pronouns[gender]}",
        f" {pronouns[1 - gender]}",
        (first, second),
        antecedent,
    )


@dataclass(frozen=True)
class Agreement:
    """How often a score was highest on the antecedent."""

    right: int
    count: int

    @property
    def share(self) -> float:
        """Of right choices; `CHANCE` is what guessing gives."""
        return self.right / self.count if self.count else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Where the share lies in 19 of 20 cases (Wilson, 1927)."""
        if not self.count:
            return 0.0, 1.0
        z, n, p = 1.96, self.count, self.share
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return centre - half, centre + half


def agreement(
    asked: Sequence[Sentence], score: Callable[[Sentence], tuple[float, float]]
) -> Agreement:
    """Let a score of the two nouns choose; where it holds them equal, it has not chosen rightly."""
    right = 0
    for sentence in asked:
        scores = score(sentence)
        right += scores[sentence.antecedent] > scores[1 - sentence.antecedent]
    return Agreement(right, len(asked))

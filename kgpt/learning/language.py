"""The notebook's language: an environment variable in, words and numbers in that language out."""

from __future__ import annotations

import os

from kgpt.errors import KgptError
from kgpt.language import with_decimal_comma

LANGUAGE = "KGPT_LEARN_LANGUAGE"
LANGUAGES = ("pt", "en")


def language() -> str:
    """`pt` or `en`, as the lesson's first cell said.

    Raises:
        KgptError: the first cell has not been run. The language is not known then: it says so in both.
    """
    chosen = os.environ.get(LANGUAGE)
    if chosen not in LANGUAGES:
        raise KgptError(
            "Execute antes a primeira célula do caderno / Run the notebook's first cell first",
            "É ela que diz a língua e prepara o Python. / It says the language and prepares Python.",
            "Run → Run All Cells",
        )
    return chosen


def say(pt: str, en: str) -> str:
    """The one of two texts that is in the notebook's language."""
    return pt if language() == "pt" else en


def number(value: float, digits: int = 2) -> str:
    """`value` with `digits` decimals and its thousands apart: 1.234,50 in Portuguese, 1,234.50 in English."""
    text = f"{value:,.{digits}f}"
    return text if language() == "en" else with_decimal_comma(text)

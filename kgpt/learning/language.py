"""The notebook's language: an environment variable in, words and numbers in that language out."""

from __future__ import annotations

import os

from kgpt.language import with_decimal_comma

LANGUAGE = "KGPT_LEARN_LANGUAGE"
LANGUAGES = ("pt", "en")


def language() -> str:
    """`pt` or `en`; Portuguese where nobody said."""
    chosen = os.environ.get(LANGUAGE, "pt")
    return chosen if chosen in LANGUAGES else "pt"


def say(pt: str, en: str) -> str:
    """The one of two texts that is in the notebook's language."""
    return pt if language() == "pt" else en


def number(value: float, digits: int = 2) -> str:
    """`value` with `digits` decimals and its thousands apart: 1.234,50 in Portuguese, 1,234.50 in English."""
    text = f"{value:,.{digits}f}"
    return text if language() == "en" else with_decimal_comma(text)

"""What the lessons in `notebooks/` share: words in two languages, checks, pictures, text to work on.

In: a lesson's code. Out: titles and printed words in the notebook's language, answers to exercises, pictures in one
style, the built-in encyclopedia's text, and the parts that an earlier lesson built. Importing it loads neither NumPy
nor matplotlib nor Keras.
"""

from __future__ import annotations

from kgpt.learning.beginning import begin
from kgpt.learning.checking import check, check_below
from kgpt.learning.drawing import (
    COLOURS,
    bars,
    colour,
    figure,
    heatmap,
    named_points,
    show,
    token_boxes,
)
from kgpt.learning.earlier import parts
from kgpt.learning.language import language, number, say
from kgpt.learning.texts import corpus, sentences

__all__ = [
    "COLOURS",
    "bars",
    "begin",
    "check",
    "check_below",
    "colour",
    "corpus",
    "figure",
    "heatmap",
    "language",
    "named_points",
    "number",
    "parts",
    "say",
    "sentences",
    "show",
    "token_boxes",
]

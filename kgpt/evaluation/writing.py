"""How a model writes, in numbers that need no reader: distinct n-grams, repetition, certainty of its own words.

In: continuations of prompts and the likelihood of each. Out: figures over all of them. Words are runs of letters,
digits and marks inside them, in lower case. Loads neither Keras nor TensorFlow.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kgpt.errors import KgptError
from kgpt.evaluation.statistics import Figure
from kgpt.evaluation.tokens import TokenStream
from kgpt.language import _
from kgpt.text.tokenizer import Tokenizer

REPEATED = 4
"""Words of an n-gram whose coming again counts as repetition."""
PROMPT_TOKENS = 24
WORD = re.compile(r"\w+(?:[-'’]\w+)*")


@dataclass(frozen=True)
class Sample:
    """What a model wrote."""

    prompt: str
    text: str
    """The continuation alone."""
    prompt_ids: tuple[int, ...]
    ids: tuple[int, ...]
    """Every token it took, the end of text among them if that came."""


class Likelihood(Protocol):
    """A continuation's score; `kgpt.evaluation.likelihood.Score` is one."""

    @property
    def log_likelihood(self) -> float:
        """In nats."""

    @property
    def tokens(self) -> int:
        """Of the continuation."""


@dataclass(frozen=True)
class Writing:
    """The figures of some samples."""

    values: dict[str, Any]
    figures: dict[str, Figure]


def measure_writing(samples: Sequence[Sample], scores: Sequence[Likelihood]) -> Writing:
    """The figures of samples, whose likelihoods were computed at temperature 1 without filters.

    - `distinct_1`, `distinct_2`, `distinct_3`: different n-grams over all n-grams of all samples (Li et al., 2016,
      arXiv:1510.03055).
    - `repetition_rate`: share of the 4-grams of a sample that came in it before (Welleck et al., 2019,
      arXiv:1908.04319), over all samples.
    - `self_perplexity`: exp of the mean surprise a token; of text that was sampled it is high, of loops low.
    """
    words = [WORD.findall(sample.text.lower()) for sample in samples]
    values: dict[str, Any] = {"samples": len(samples)}
    for size in (1, 2, 3):
        grams = list(chain.from_iterable(_grams(item, size) for item in words))
        values[f"distinct_{size}"] = len(set(grams)) / len(grams) if grams else None
    of = [_grams(item, REPEATED) for item in words]
    figures: dict[str, Figure] = {}
    values["repetition_rate"] = values["repetition_rate_error"] = None
    if any(of):
        repeated = [len(grams) - len(set(grams)) for grams in of]
        figure = Figure.of(repeated, [len(grams) for grams in of], higher_is_better=False)
        figures["repetition_rate"] = figure
        values |= {"repetition_rate": figure.value, "repetition_rate_error": figure.standard_error}
    loss = Figure.of([-item.log_likelihood for item in scores], [item.tokens for item in scores])
    error = loss.standard_error
    values["self_perplexity"] = math.exp(min(loss.value, 700.0))
    values["self_perplexity_error"] = None if error is None else values["self_perplexity"] * error
    return Writing(values, {**figures, "self_loss": loss})


def _grams(words: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[place : place + size]) for place in range(len(words) - size + 1)]


# === Prompts ===


def read_prompts(path: Path) -> list[str]:
    """A prompt from each line of a text file, or the `prompt` of each line of a .jsonl file.

    Raises:
        KgptError: there is no such file, a line is broken, or it has no prompt.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KgptError(
            _("Cannot read the prompts"), f"{path}: {error}", _("Give a file in UTF-8.")
        ) from None
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if path.suffix == ".jsonl":
        prompts = [_prompt(line, f"{path}, line {number}") for number, line in numbered]
    else:
        prompts = [line for _number, line in numbered]
    if not prompts:
        raise KgptError(
            _("No prompts"), _("{path} is empty.", path=path), _("Give a prompt a line.")
        )
    return prompts


def _prompt(line: str, place: str) -> str:
    try:
        prompt = json.loads(line)["prompt"]
    except (ValueError, TypeError, KeyError):
        prompt = None
    if not isinstance(prompt, str) or not prompt:
        raise KgptError(
            _("Broken prompt"), f"{place}: {line[:100]}", _('A line: {"prompt": "Era uma vez"}')
        )
    return prompt


def prompts_from(tokens: TokenStream, tokenizer: Tokenizer, count: int, length: int) -> list[str]:
    """Prompts of `length` tokens from places spread evenly over a text; fewer than `count` where it is too short."""
    last = len(tokens) - length
    places = np.linspace(0, max(0, last), count).astype(int)
    prompts = []
    for place in dict.fromkeys(places.tolist()):
        ids = [int(token) for token in tokens.window(place, min(length, len(tokens)))]
        if tokenizer.end_of_text in ids:  # of two documents the second
            ids = ids[len(ids) - ids[::-1].index(tokenizer.end_of_text) :]
        text = tokenizer.decode(ids).strip("�")
        if text.strip():
            prompts.append(text)
    return prompts

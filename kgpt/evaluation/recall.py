"""What a model knows: greedy completions of prompts whose answers are known.

In: completions and the encyclopedia's held-out prompts. Out: the share of right answers, by subject. An answer is right
if the completion begins with it, word for word but for a leading article.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.text import encyclopedia
from kgpt.text.encyclopedia import Prompt

MAX_ANSWER_TOKENS = 24
ARTICLE = re.compile(r"^(?:o|a|os|as) ")
"""Portuguese says both "o país é Irlanda" and "o país é a Irlanda"."""
Completer = Callable[[Sequence[str], int], list[str]]
"""Prompts and a number of tokens in, greedy continuations out."""


@dataclass(frozen=True)
class Answered:
    """A prompt and what the model made of it."""

    prompt: Prompt
    completion: str

    @property
    def is_right(self) -> bool:
        """Whether the completion begins with the answer, its article apart, and the answer ends there."""
        text, answer = ARTICLE.sub("", self.completion.strip()), ARTICLE.sub("", self.prompt.answer)
        following = text[len(answer) : len(answer) + 1]
        return text.startswith(answer) and not (following.isalnum() or following == "-")


@dataclass(frozen=True)
class Recall:
    """All answers of a test."""

    answers: tuple[Answered, ...]

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return sum(answer.is_right for answer in self.answers) / len(self.answers)

    def by(self, field: str) -> dict[str, tuple[int, int]]:
        """Right answers and prompts by `subject` or `relation`."""
        asked = Counter(getattr(answer.prompt, field) for answer in self.answers)
        right = Counter(getattr(answer.prompt, field) for answer in self.answers if answer.is_right)
        return {name: (right[name], asked[name]) for name in sorted(asked)}

    def most_common_answer_accuracy(self) -> float:
        """What giving each relation's most common answer would score: knowledge of nothing but frequencies."""
        by_relation: dict[tuple[str, str], Counter[str]] = {}
        for answer in self.answers:
            key = (answer.prompt.subject, answer.prompt.relation)
            by_relation.setdefault(key, Counter())[answer.prompt.answer] += 1
        return sum(max(counts.values()) for counts in by_relation.values()) / len(self.answers)


def measure_recall(complete: Completer, prompts: Sequence[Prompt]) -> Recall:
    """Let the model complete every prompt greedily."""
    completions = complete([prompt.text for prompt in prompts], MAX_ANSWER_TOKENS)
    pairs = zip(prompts, completions, strict=True)
    return Recall(tuple(Answered(prompt, completion) for prompt, completion in pairs))


def encyclopedia_prompts() -> list[Prompt]:
    """The built-in encyclopedia's held-out prompts."""
    return encyclopedia.prompts()


def read_prompts(path: Path) -> list[Prompt]:
    """Prompts from a JSONL file: `prompt` and `answer`, and if you like `subject` and `relation`.

    Raises:
        KgptError: no file, a line that is not such an object, or no line at all.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KgptError(
            _("Cannot read the prompts"), f"{path}: {error}", _("Give a JSONL file in UTF-8.")
        ) from None
    prompts = [
        _parse_prompt(line, f"{path}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not prompts:
        raise KgptError(
            _("No prompts"),
            _("{path} is empty.", path=path),
            _('A line: {"prompt": "A capital da França é", "answer": "Paris"}'),
        )
    return prompts


def _parse_prompt(line: str, place: str) -> Prompt:
    try:
        values: dict[str, Any] = json.loads(line)
        return Prompt(
            subject=str(values.get("subject", "-")),
            relation=str(values.get("relation", "-")),
            text=str(values["prompt"]),
            answer=str(values["answer"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise KgptError(
            _("Broken prompt"),
            f"{place}: {error!r}",
            _('A line: {"prompt": "A capital da França é", "answer": "Paris"}'),
        ) from None

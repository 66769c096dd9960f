"""The built-in corpus: a small Portuguese encyclopedia written from tables of facts.

Tables in (package data), and out of them: `documents` to train on, `facts`, held-out completion `prompts`,
`questions` with answers, and `template_patterns` that prove that no held-out phrasing is in the documents.
Run `python -m kgpt.text.encyclopedia` for a report.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kgpt.text.encyclopedia.compose import write_documents
from kgpt.text.encyclopedia.questions import (
    DEFAULT_PROMPTS,
    Fact,
    Prompt,
    QuestionAnswer,
    held_out_templates,
    list_facts,
    list_questions,
    select_prompts,
)
from kgpt.text.encyclopedia.tables import load_subjects

__all__ = [
    "Fact",
    "Prompt",
    "QuestionAnswer",
    "documents",
    "facts",
    "prompts",
    "questions",
    "template_patterns",
]


def documents(seed: int = 1, *, shuffle_facts: bool = False) -> Iterator[str]:
    """Yield the corpus: short articles of a title line, an empty line and paragraphs; the same for the same seed.

    `shuffle_facts` hands each relation's answers to other entities: text of the same shape whose facts are
    false, the control that shows what a model scores without knowledge.
    """
    return write_documents(load_subjects(), seed, shuffle_facts=shuffle_facts)


def facts() -> list[Fact]:
    """Return every fact of the tables."""
    return list_facts(load_subjects())


def prompts(limit: int | None = None, seed: int = 1) -> list[Prompt]:
    """Return held-out completion prompts, each subject a like share of `limit` (default: 480)."""
    return select_prompts(load_subjects(), DEFAULT_PROMPTS if limit is None else limit, seed)


def questions() -> list[QuestionAnswer]:
    """Return question-answer pairs in held-out phrasings, every phrasing of every fact."""
    return list_questions(load_subjects())


def template_patterns() -> list[re.Pattern[str]]:
    """Return the patterns of all held-out templates with names removed; none may match a document."""
    return [template.pattern() for template in held_out_templates(load_subjects())]

"""What asks for the facts: tables in; facts, held-out prompts, question-answer pairs and their patterns out.

The templates behind `Prompt` and `QuestionAnswer` never occur in the corpus; `find_held_out` proves it for a text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from random import Random

from kgpt.text.encyclopedia.grammar import Template
from kgpt.text.encyclopedia.tables import Entity, Relation, Subject

DEFAULT_PROMPTS = 480


@dataclass(frozen=True, slots=True)
class Fact:
    """One filled cell of a table."""

    subject: str
    relation: str
    entity: str
    answer: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A held-out sentence up to just before its answer: "A capital da França é" and "Paris"."""

    subject: str
    relation: str
    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class QuestionAnswer:
    """A held-out question and its short answer."""

    subject: str
    relation: str
    entity: str
    question: str
    answer: str


def list_facts(subjects: Iterable[Subject]) -> list[Fact]:
    """Return every fact of the tables."""
    return [
        Fact(subject.key, relation.column, entity.name, entity.words[relation.column].text)
        for subject, relation, entity in _cells(subjects)
    ]


def list_questions(subjects: Iterable[Subject]) -> list[QuestionAnswer]:
    """Return every question of every fact."""
    return [
        QuestionAnswer(
            subject.key,
            relation.column,
            entity.name,
            question.sentence(entity.words),
            relation.answer.render(entity.words),
        )
        for subject, relation, entity in _cells(subjects)
        for question in relation.questions
        if entity.has(question)
    ]


def select_prompts(subjects: Sequence[Subject], limit: int, seed: int) -> list[Prompt]:
    """Return up to `limit` prompts: subjects take turns, and within a subject its relations do."""
    random = Random(seed)
    return list(
        islice(
            _take_turns([_take_turns(_relation_prompts(subject, random)) for subject in subjects]),
            limit,
        )
    )


def most_common_answer_scores(
    subjects: Iterable[Subject], prompts: Sequence[Prompt]
) -> dict[tuple[str, str], float]:
    """Return, by (subject, relation), the share of prompts that the relation's most common answer gets right.

    The most common answer is the one most frequent among all facts of the relation.
    """
    answers: dict[tuple[str, str], Counter[str]] = {}
    for subject, relation, entity in _cells(subjects):
        counts = answers.setdefault((subject.key, relation.column), Counter())
        counts[relation.expects.render(entity.words)] += 1
    asked = Counter((prompt.subject, prompt.relation) for prompt in prompts)
    right = Counter(
        (prompt.subject, prompt.relation)
        for prompt in prompts
        if prompt.answer == answers[prompt.subject, prompt.relation].most_common(1)[0][0]
    )
    return {key: right[key] / number for key, number in asked.items()}


def held_out_templates(subjects: Iterable[Subject]) -> list[Template]:
    """Return every template of a prompt or question, each once."""
    templates = (
        template
        for subject in subjects
        for relation in subject.relations
        for template in (*relation.prompts, *relation.questions)
    )
    return list({template.source: template for template in templates}.values())


def find_held_out(subjects: Iterable[Subject], texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (template, matching words) for every text that holds a held-out template with any name in it."""
    lowered = [text.lower() for text in texts]
    for template in held_out_templates(subjects):
        pattern, anchor = template.pattern(), template.longest_literal()
        for text, lower in zip(texts, lowered, strict=True):
            if anchor in lower and (match := pattern.search(text)):
                yield template.source, match[0]


def _cells(subjects: Iterable[Subject]) -> Iterator[tuple[Subject, Relation, Entity]]:
    for subject in subjects:
        for relation in subject.relations:
            for entity in subject.entities:
                if relation.column in entity.words:
                    yield subject, relation, entity


def _relation_prompts(subject: Subject, random: Random) -> list[Iterator[Prompt]]:
    """Return a queue for each evaluated relation; a fact appears once, answers and templates take turns."""
    queues = []
    for relation in (relation for relation in subject.relations if relation.evaluate):
        by_answer: dict[str, list[Entity]] = {}
        for entity in random.sample(subject.entities, len(subject.entities)):
            if relation.column in entity.words:
                by_answer.setdefault(entity.words[relation.column].text, []).append(entity)
        holders = (
            entity
            for turn in zip_longest(*by_answer.values())
            for entity in turn
            if entity is not None
        )
        queues.append(_prompts(subject, relation, holders))
    return queues


def _prompts(subject: Subject, relation: Relation, holders: Iterable[Entity]) -> Iterator[Prompt]:
    for turn, entity in enumerate(holders):
        if templates := [template for template in relation.prompts if entity.has(template)]:
            text = templates[turn % len(templates)].sentence(entity.words)
            yield Prompt(subject.key, relation.column, text, relation.expects.render(entity.words))


def _take_turns(queues: Iterable[Iterable[Prompt]]) -> Iterator[Prompt]:
    rounds = zip_longest(*queues)
    return (prompt for prompt in chain.from_iterable(rounds) if prompt is not None)

"""The built-in corpus itself: size, truth to its tables, held-out phrasings, the shuffled control."""

import re
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import islice, zip_longest

import pytest

from kgpt.text import encyclopedia
from kgpt.text.encyclopedia.compose import shuffle_subject
from kgpt.text.encyclopedia.questions import (
    Fact,
    find_held_out,
    held_out_templates,
    list_facts,
    most_common_answer_scores,
)
from kgpt.text.encyclopedia.tables import Subject, load_subjects

MIN_STATEMENTS = 3


@pytest.fixture(scope="module")
def subjects() -> tuple[Subject, ...]:
    return load_subjects()


@pytest.fixture(scope="module")
def documents() -> list[str]:
    return list(encyclopedia.documents())


@pytest.fixture(scope="module")
def text(documents: list[str]) -> str:
    return "\n\n".join(documents)


def _articles(documents: list[str]) -> dict[str, list[str]]:
    articles = defaultdict(list)
    for document in documents:
        title, _, body = document.partition("\n\n")
        articles[title].append(body.lower())
    return articles


def _statements(articles: dict[str, list[str]], fact: Fact) -> int:
    """Count the articles of the fact's entity that hold its answer."""
    title = fact.entity[:1].upper() + fact.entity[1:]
    return sum(
        bool(re.search(rf"(?<!\w){re.escape(fact.answer.lower())}(?!\w)", body))
        for body in articles[title]
    )


def test_the_corpus_has_the_promised_size(
    documents: list[str], subjects: tuple[Subject, ...]
) -> None:
    assert 3_200_000 <= sum(len(document.encode()) for document in documents) <= 3_600_000
    assert len(subjects) >= 12
    assert len(encyclopedia.facts()) >= 2_000


def test_the_seed_decides_the_text(documents: list[str]) -> None:
    assert list(encyclopedia.documents(1)) == documents
    assert list(islice(encyclopedia.documents(2), 50)) != documents[:50]


def test_the_text_does_not_depend_on_the_hash_seed(documents: list[str]) -> None:
    program = (
        "import hashlib; from kgpt.text import encyclopedia as e;"
        "from kgpt.text.encyclopedia.compose import write_documents;"
        "from kgpt.text.encyclopedia.tables import load_subjects;"
        "texts = write_documents(load_subjects(), 1, target_bytes=100_000, shuffle_facts=True);"
        "print(hashlib.sha256(repr((list(texts), e.prompts())).encode()).hexdigest())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_every_document_is_a_title_and_paragraphs_of_sentences(documents: list[str]) -> None:
    for document in documents:
        title, *paragraphs = document.split("\n\n")
        assert title and not title.endswith(".") and title[0] == title[0].upper()
        assert 1 <= len(paragraphs) <= 2
        for paragraph in paragraphs:
            assert paragraph.endswith(".") and "\n" not in paragraph
            assert not {"{", "}", "|"} & set(paragraph) and "  " not in paragraph


def test_every_fact_is_stated_in_several_articles(
    documents: list[str], subjects: tuple[Subject, ...]
) -> None:
    articles = _articles(documents)
    for fact in encyclopedia.facts():
        assert _statements(articles, fact) >= MIN_STATEMENTS, fact


def test_every_phrasing_is_used(text: str, subjects: tuple[Subject, ...]) -> None:
    lower = text.lower()
    for subject in subjects:
        for relation in subject.relations:
            for template in (*relation.training, *relation.follow):
                rows = (
                    e.words
                    for e in subject.entities
                    if relation.column in e.words and e.has(template)
                )
                used = any(template.render(row).lower() in lower for row in rows)
                assert used, f"{subject.key}.{relation.column}: {template.source}"


def test_no_held_out_template_is_in_the_text(
    documents: list[str], subjects: tuple[Subject, ...]
) -> None:
    assert list(find_held_out(subjects, documents)) == []


def test_a_planted_template_is_found(documents: list[str], subjects: tuple[Subject, ...]) -> None:
    sample = documents[:300]
    for template in held_out_templates(subjects):
        entity = next(
            entity
            for subject in subjects
            for relation in subject.relations
            for entity in subject.entities
            if template in (*relation.prompts, *relation.questions) and entity.has(template)
        )
        planted = f"Título\n\nSabe-se bem. {template.sentence(entity.words)} algo."
        assert template.source in {
            source for source, _ in find_held_out(subjects, [*sample[:3], planted])
        }


def test_the_public_patterns_agree_with_the_fast_search(documents: list[str]) -> None:
    sample = "\n".join(documents[:1_000])
    assert not [
        pattern.pattern for pattern in encyclopedia.template_patterns() if pattern.search(sample)
    ]


def test_prompts_are_spread_evenly_over_the_subjects(subjects: tuple[Subject, ...]) -> None:
    prompts = encyclopedia.prompts()
    evaluated = {
        subject.key
        for subject in subjects
        if any(relation.evaluate for relation in subject.relations)
    }
    shares = Counter(prompt.subject for prompt in prompts)
    assert len(prompts) == len(set(prompts)) == 480
    assert shares.keys() == evaluated
    assert max(shares.values()) - min(shares.values()) <= 1
    assert len(encyclopedia.prompts(limit=60)) == 60
    assert encyclopedia.prompts(seed=2) != prompts == encyclopedia.prompts(seed=1)


def test_a_prompt_has_one_right_answer_that_the_tables_state() -> None:
    answers = defaultdict(set)
    for prompt in encyclopedia.prompts(limit=1_000_000):
        assert prompt.text and prompt.text == prompt.text.strip() and prompt.answer
        answers[prompt.text].add(prompt.answer)
    assert {text: right for text, right in answers.items() if len(right) > 1} == {}


def test_the_most_common_answers_score_below_a_tenth(subjects: tuple[Subject, ...]) -> None:
    for prompts in (encyclopedia.prompts(), encyclopedia.prompts(limit=1_000_000)):
        scores = most_common_answer_scores(subjects, prompts)
        asked = Counter((prompt.subject, prompt.relation) for prompt in prompts)
        assert sum(scores[key] * number for key, number in asked.items()) / len(prompts) < 0.10


def test_questions_ask_for_every_fact_of_the_evaluated_relations(
    subjects: tuple[Subject, ...],
) -> None:
    pairs = encyclopedia.questions()
    assert all(pair.question.endswith("?") and pair.answer for pair in pairs)
    evaluated = {(s.key, r.column) for s in subjects for r in s.relations if r.evaluate}
    assert len(pairs) >= sum(
        (fact.subject, fact.relation) in evaluated for fact in encyclopedia.facts()
    )


def test_shuffled_facts_are_false_and_the_text_keeps_its_shape(documents: list[str]) -> None:
    shuffled = list(encyclopedia.documents(shuffle_facts=True))
    sizes = [sum(map(len, texts)) for texts in (documents, shuffled)]
    assert abs(sizes[0] - sizes[1]) < 0.01 * sizes[0]
    names = {fact.entity[:1].upper() + fact.entity[1:] for fact in encyclopedia.facts()}
    for texts in (documents, shuffled):
        assert names <= {document.partition("\n")[0] for document in texts}
    same = sum(one == other for one, other in zip_longest(sorted(documents), sorted(shuffled)))
    assert same < 0.05 * len(documents)


def test_shuffling_moves_almost_every_answer_to_another_entity(
    subjects: tuple[Subject, ...],
) -> None:
    true = {(f.subject, f.relation, f.entity): f.answer for f in encyclopedia.facts()}
    moved = list_facts(shuffle_subject(subject, 1) for subject in subjects)
    false = {(f.subject, f.relation, f.entity): f.answer for f in moved}
    assert true.keys() == false.keys()
    assert Counter((key[:2], answer) for key, answer in true.items()) == Counter(
        (key[:2], answer) for key, answer in false.items()
    )
    evaluated = [(s.key, r.column) for s in subjects for r in s.relations if r.evaluate]
    kept = [key for key in true if key[:2] in evaluated and true[key] == false[key]]
    assert len(kept) < 0.02 * len(true)


def test_articles_of_shuffled_facts_seldom_hold_the_right_answer(
    subjects: tuple[Subject, ...],
) -> None:
    articles = _articles(list(encyclopedia.documents(shuffle_facts=True)))
    # a second paragraph may be about other entities, to whom the answer then belongs
    articles = {
        title: [body.partition("\n\n")[0] for body in bodies] for title, bodies in articles.items()
    }
    evaluated = [(s.key, r.column) for s in subjects for r in s.relations if r.evaluate]
    facts = [fact for fact in encyclopedia.facts() if (fact.subject, fact.relation) in evaluated]
    told = sum(_statements(articles, fact) > 0 for fact in facts)
    assert told < 0.15 * len(facts)

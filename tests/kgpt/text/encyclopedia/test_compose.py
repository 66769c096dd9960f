"""How documents are composed, on a subject small enough to count in."""

import re
from collections import Counter
from pathlib import Path

import pytest

from kgpt.text.encyclopedia.compose import shuffle_subject, write_documents
from kgpt.text.encyclopedia.tables import Subject, load_subject

NAMES = [f"Cidade{letter}" for letter in "ABCDEFGHIJKL"]


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    rows = [f"{name}\t-f\tRio{name[-1]}\t{1500 + i}" for i, name in enumerate(NAMES)]
    (tmp_path / "cities.tsv").write_text("\n".join(["name\tarticle\triver\tyear", *rows]), "utf-8")
    relations = [
        f"[[relations]]\ncolumn = {column!r}\ntitle = 'Só {column}'\nevaluate = false\n"
        f"training = {[f'{{O name}} frase{n} {column} {{{column}}}.' for n in range(10)]}\n"
        f"follow = ['Ela {column}1 {{{column}}}.', 'Ela {column}2 {{{column}}}.']\n"
        for column in ("river", "year")
    ]
    (tmp_path / "cities.toml").write_text("\n".join(["title = 'Cidades'", *relations]), "utf-8")
    return load_subject(tmp_path, "cities")


def write(
    subject: Subject, seed: int = 1, target_bytes: int = 60_000, shuffle_facts: bool = False
) -> list[str]:
    return list(
        write_documents([subject], seed, target_bytes=target_bytes, shuffle_facts=shuffle_facts)
    )


def test_the_corpus_stops_at_its_size(subject: Subject) -> None:
    for target in (5_000, 60_000):
        size = sum(len(document.encode()) for document in write(subject, target_bytes=target))
        assert target <= size < target + 2_000


def test_no_subjects_make_no_documents() -> None:
    assert list(write_documents([], 1)) == []


def test_an_article_states_every_fact_once_and_opens_with_a_full_sentence(subject: Subject) -> None:
    articles = [document for document in write(subject) if document.partition("\n")[0] in NAMES]
    orders = set()
    for article in articles:
        name, _, body = article.partition("\n\n")
        assert body.startswith(name)
        assert body.count(f"Rio{name[-1]}") == body.count(f"{1500 + NAMES.index(name)}") == 1
        orders.add(body.index("Rio") < body.index("15"))
    assert orders == {True, False}
    assert any(re.search(r"\. Ela (river|year)[12] ", article) for article in articles)


def test_phrasings_are_used_about_evenly(subject: Subject) -> None:
    text = "\n".join(write(subject))
    for column in ("river", "year"):
        uses = Counter(re.findall(rf"frase(\d) {column}", text))
        assert len(uses) == 10 and max(uses.values()) < 1.5 * min(uses.values())
        follows = Counter(re.findall(rf"Ela {column}(\d)", text))
        assert len(follows) == 2 and max(follows.values()) < 1.5 * min(follows.values())


def test_surveys_compare_several_entities(subject: Subject) -> None:
    surveys = [document for document in write(subject) if document.partition("\n")[0] not in NAMES]
    assert {survey.partition("\n")[0] for survey in surveys} == {"Cidades", "Só river", "Só year"}
    for survey in surveys:
        assert len(set(re.findall(r"Cidade[A-L]", survey))) >= 5
    only_rivers = [survey for survey in surveys if survey.startswith("Só river")]
    assert not any("year" in survey for survey in only_rivers)


def test_shuffled_facts_are_false_in_a_text_of_the_same_shape(subject: Subject) -> None:
    def without_answers(documents: list[str]) -> list[str]:
        return [re.sub(r"Rio[A-L]|15\d\d", "", document) for document in documents]

    true, false = write(subject), write(subject, shuffle_facts=True)
    assert without_answers(true) == without_answers(false)
    pairs = set(re.findall(r"Cidade([A-L]) frase\d river Rio([A-L])", "\n".join(false)))
    assert len(pairs) == len(NAMES) and all(city != river for city, river in pairs)


def test_a_common_answer_moves_too_while_others_are_left(subject: Subject) -> None:
    words = [dict(entity.words) for entity in subject.entities]
    for row in words[:6]:
        row["river"] = words[0]["river"]
    half_equal = Subject(
        "cities", "Cidades", (), subject.relations, tuple(map(type(subject.entities[0]), words))
    )
    shuffled = shuffle_subject(half_equal, seed=1)
    for before, after in zip(half_equal.entities, shuffled.entities, strict=True):
        assert before.words["river"] != after.words["river"]

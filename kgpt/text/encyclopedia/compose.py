"""The documents of the encyclopedia: subjects in, articles and surveys out.

The corpus is written in rounds. A round has one article for every entity (all its facts, in a new order) and
surveys that compare a few entities of a subject. Each fact deals its phrasings like a deck of cards, so that
all of them come up about equally often. Rounds go on until the corpus has the size that is wanted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from random import Random

from kgpt.text.encyclopedia.grammar import CONTRACTIONS, Template
from kgpt.text.encyclopedia.tables import Entity, Relation, Subject

TARGET_BYTES = 3_400_000
FOLLOW_SHARE = 0.3  # of the sentences that could refer back to the one before
SURVEY_SIZES = (5, 9)
CONNECTORS = (
    "Já ",
    "Já ",
    "Por sua vez, ",
    "Por outro lado, ",
    "Enquanto isso, ",
    "Da mesma forma, ",
)
ARTICLE_SENTENCES = 2
"""An article with fewer sentences of its own gets a second paragraph about entities of the same subject."""
CONNECTOR_SHARE = 0.25
_CONNECTABLE = {particle for forms in CONTRACTIONS.values() for particle in forms} | {
    "quem",
    "para",
}
INTRODUCTIONS = (
    "Alguns exemplos ajudam a conhecer melhor este assunto.",
    "Este artigo reúne alguns exemplos para comparação.",
    "Vale a pena comparar alguns casos lado a lado.",
    "Os exemplos a seguir mostram a variedade do tema.",
    "Eis alguns dados que merecem ser lembrados.",
    "Reunidos aqui, alguns casos revelam diferenças interessantes.",
)


def write_documents(
    subjects: Sequence[Subject],
    seed: int,
    *,
    shuffle_facts: bool = False,
    target_bytes: int = TARGET_BYTES,
) -> Iterator[str]:
    """Yield the corpus, just over `target_bytes` of UTF-8 in shuffled order; the same seed gives the same text."""
    if shuffle_facts:
        subjects = [shuffle_subject(subject, seed) for subject in subjects]
    random = Random(seed)
    texts = list(_write_until(target_bytes, _Writer(random), subjects))
    random.shuffle(texts)
    yield from texts


def _write_until(target_bytes: int, writer: _Writer, subjects: Sequence[Subject]) -> Iterator[str]:
    size = 0
    while subjects:
        documents = list(writer.write_round(subjects))
        writer.random.shuffle(documents)  # so that the last round, cut short, favours no subject
        for document in documents:
            if size >= target_bytes:
                return
            size += len(document.encode())
            yield document


def shuffle_subject(subject: Subject, seed: int) -> Subject:
    """Hand each relation's answers to other entities, as far as its answers differ at all."""
    rows = [dict(entity.words) for entity in subject.entities]
    for relation in subject.relations:
        random = Random(f"{seed} {subject.key} {relation.column}")
        owners = [row for row in rows if relation.column in row]
        counts = Counter(row[relation.column].text for row in owners)
        ranks = {answer: random.random() for answer in counts}
        # Equal answers side by side, then turned by the largest group: nobody keeps an answer
        # unless one answer fills more than half of the table.
        owners.sort(key=lambda row: ranks[row[relation.column].text])
        turn = max(counts.values(), default=0)
        words = [row[relation.column] for row in owners]
        for row, word in zip(owners, words[turn:] + words[:turn], strict=True):
            row[relation.column] = word
    return replace(subject, entities=tuple(map(Entity, rows)))


class _Writer:
    """Writes rounds of documents; remembers which phrasings each fact has used."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self._decks: dict[tuple[str, str, str, bool], list[Template]] = {}

    def write_round(self, subjects: Sequence[Subject]) -> Iterator[str]:
        """Yield an article for every entity and surveys over all entities of every subject."""
        for subject in subjects:
            for entity in subject.entities:
                yield self.write_article(subject, entity)
            yield from self.write_surveys(subject)

    def write_article(self, subject: Subject, entity: Entity) -> str:
        """Return title and paragraphs that state every fact of the entity; few facts bring related entities along."""
        relations = _relations_of(subject, entity)
        self.random.shuffle(relations)
        cut = self._cut(len(relations))
        sentences = [
            self._sentence(subject, entity, relation, may_follow=index not in (0, cut))
            for index, relation in enumerate(relations)
        ]
        if len(sentences) < ARTICLE_SENTENCES:
            cut = len(sentences)
            sentences += self._related(subject, entity, ARTICLE_SENTENCES + 1 - cut)
        return _layout(entity.name, sentences, cut)

    def _related(self, subject: Subject, entity: Entity, count: int) -> list[str]:
        names = tuple(other.name for other in subject.entities)
        others = [other for other in subject.entities if other is not entity]
        sentences = []
        for other in self.random.sample(others, min(count, len(others))):
            relation = self.random.choice(_relations_of(subject, other))
            sentences.append(self._connect(self._only(subject, other, relation), names))
        return sentences

    def write_surveys(self, subject: Subject) -> Iterator[str]:
        """Yield surveys that take every entity of the subject once."""
        entities = list(subject.entities)
        self.random.shuffle(entities)
        while entities:
            size = self.random.randint(*SURVEY_SIZES)
            # A remainder too small for an article of its own joins the last one.
            chosen = entities[: size if len(entities) - size >= SURVEY_SIZES[0] else len(entities)]
            del entities[: len(chosen)]
            yield self._survey(subject, chosen)

    def _survey(self, subject: Subject, entities: list[Entity]) -> str:
        shared = self.random.choice(subject.relations)
        holders = [entity for entity in entities if shared.column in entity.words]
        if self.random.random() < 0.5 and len(holders) >= SURVEY_SIZES[0]:
            return self._layout_survey(
                subject, shared.title, [[self._only(subject, e, shared)] for e in holders]
            )
        return self._layout_survey(
            subject, subject.title, [self._mixed(subject, entity) for entity in entities]
        )

    def _layout_survey(self, subject: Subject, title: str, passages: list[list[str]]) -> str:
        introduction = self.random.choice([*(subject.introductions or INTRODUCTIONS), ""])
        names = tuple(entity.name for entity in subject.entities)
        connected = [
            passages[0],
            *([self._connect(first, names), *rest] for first, *rest in passages[1:]),
        ]
        half = len(connected) // 2
        opening = list(chain([introduction] if introduction else [], *connected[:half]))
        cut = len(opening) if self.random.random() < 0.5 else 0
        return _layout(title, list(chain(opening, *connected[half:])), cut)

    def _only(self, subject: Subject, entity: Entity, relation: Relation) -> str:
        return self._sentence(subject, entity, relation, may_follow=False)

    def _mixed(self, subject: Subject, entity: Entity) -> list[str]:
        relations = _relations_of(subject, entity)
        self.random.shuffle(relations)
        sentences = [self._only(subject, entity, relations[0])]
        followers = [relation for relation in relations[1:] if relation.follow]
        if followers and self.random.random() < FOLLOW_SHARE:
            sentences.append(self._deal(subject, entity, followers[0], follow=True))
        return sentences

    def _connect(self, sentence: str, names: tuple[str, ...]) -> str:
        """Perhaps put a connector before `sentence`, if its first word may lose its capital: a title's may not."""
        word, space, rest = sentence.partition(" ")
        connectable = word.lower() in _CONNECTABLE and not sentence.startswith(names)
        if self.random.random() >= CONNECTOR_SHARE or not connectable:
            return sentence
        return self.random.choice(CONNECTORS) + word.lower() + space + rest

    def _sentence(
        self, subject: Subject, entity: Entity, relation: Relation, *, may_follow: bool
    ) -> str:
        follow = may_follow and bool(relation.follow) and self.random.random() < FOLLOW_SHARE
        return self._deal(subject, entity, relation, follow=follow)

    def _deal(self, subject: Subject, entity: Entity, relation: Relation, *, follow: bool) -> str:
        deck = self._decks.setdefault((subject.key, entity.name, relation.column, follow), [])
        if not deck:
            usable = [template for template in relation.follow if follow and entity.has(template)]
            deck += usable or [template for template in relation.training if entity.has(template)]
            self.random.shuffle(deck)
        return deck.pop().sentence(entity.words)

    def _cut(self, sentences: int) -> int:
        return sentences // 2 if sentences > 3 and self.random.random() < 0.5 else 0


def _relations_of(subject: Subject, entity: Entity) -> list[Relation]:
    return [relation for relation in subject.relations if relation.column in entity.words]


def _layout(title: str, sentences: list[str], cut: int) -> str:
    paragraphs = [" ".join(part) for part in (sentences[:cut], sentences[cut:]) if part]
    return "\n\n".join([title[:1].upper() + title[1:], *paragraphs])

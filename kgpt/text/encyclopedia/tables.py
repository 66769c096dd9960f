"""The fact tables: SUBJECT.tsv and SUBJECT.toml in, checked `Subject`s out.

A TSV row is an entity: `name`, `article`, and a column of facts for each relation (empty: no such fact).
The TOML file says how Portuguese states each relation, and how held-out prompts and questions ask for it.
Every mistake in a table raises a KgptError that names the file and the place.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from kgpt.errors import KgptError
from kgpt.text.encyclopedia.grammar import GrammarError, Template, Word

MIN_TRAINING = 10
_SUBJECT_KEYS = {"title", "introductions", "relations"}
_RELATION_KEYS = {
    "column", "title", "training", "follow", "prompts", "expects", "questions", "answer", "evaluate",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Relation:
    """One kind of fact, its phrasings, and the held-out templates (`prompts`, `questions`) that ask for it."""

    column: str
    title: str
    training: tuple[Template, ...]
    follow: tuple[Template, ...]
    prompts: tuple[Template, ...]
    expects: Template
    questions: tuple[Template, ...]
    answer: Template
    evaluate: bool

    def templates(self) -> tuple[Template, ...]:
        """Return every template of the relation."""
        return (
            *self.training,
            *self.follow,
            *self.prompts,
            self.expects,
            *self.questions,
            self.answer,
        )


@dataclass(frozen=True, slots=True)
class Entity:
    """A table row: `words` has `name` and every column whose cell is not empty."""

    words: Mapping[str, Word]

    @property
    def name(self) -> str:
        """The name as the table writes it."""
        return self.words["name"].text

    def has(self, template: Template) -> bool:
        """Say whether the row fills all slots of the template."""
        return template.columns <= self.words.keys()


@dataclass(frozen=True, slots=True)
class Subject:
    """A pair of files: entities and the relations that they have."""

    key: str
    title: str
    introductions: tuple[str, ...]
    relations: tuple[Relation, ...]
    entities: tuple[Entity, ...]


@lru_cache(maxsize=1)
def load_subjects() -> tuple[Subject, ...]:
    """Load the package's own tables, in the order of their names."""
    folder = tables_folder()
    return tuple(load_subject(folder, key) for key in subject_keys(folder))


def tables_folder() -> Traversable:
    """Return the folder of the package's own tables."""
    return files("kgpt.text.encyclopedia") / "tables"


def subject_keys(folder: Traversable) -> list[str]:
    """List the subjects of a folder by the names of its files."""
    names = (entry.name for entry in folder.iterdir())
    return sorted({name.rpartition(".")[0] for name in names if name.endswith((".tsv", ".toml"))})


def load_subject(folder: Traversable, key: str) -> Subject:
    """Read and check SUBJECT.tsv and SUBJECT.toml of a folder; raises KgptError for whatever is wrong there."""
    columns, entities = _read_entities(f"{key}.tsv", _read_text(folder, f"{key}.tsv"))
    file = f"{key}.toml"
    try:
        data = tomllib.loads(_read_text(folder, file))
    except tomllib.TOMLDecodeError as error:
        raise _error(file, str(error)) from error
    _check_keys(file, data, _SUBJECT_KEYS, required={"title", "relations"})
    relations = tuple(
        _read_relation(file, table, columns, data["title"]) for table in data["relations"]
    )
    subject = Subject(key, data["title"], tuple(data.get("introductions", ())), relations, entities)
    _check_subject(subject, columns)
    return subject


def _read_text(folder: Traversable, file: str) -> str:
    try:
        return (folder / file).read_text("utf-8")
    except FileNotFoundError as error:
        raise _error(file, "the file is missing: a subject has a .tsv and a .toml file") from error
    except UnicodeDecodeError as error:
        raise _error(file, f"not UTF-8 at byte {error.start}") from error


def _read_entities(file: str, text: str) -> tuple[list[str], tuple[Entity, ...]]:
    header, *lines = text.splitlines()
    columns = header.split("\t")
    if columns[:2] != ["name", "article"] or len(set(columns)) != len(columns):
        raise _error(
            file, f"header {columns}: expected name, article, then one column a relation, each once"
        )
    entities = tuple(
        _read_entity(f"{file} line {n}", columns, line) for n, line in enumerate(lines, 2) if line
    )
    _check_unique(file, "entity", (entity.name for entity in entities))
    return columns, entities


def _read_entity(place: str, columns: list[str], line: str) -> Entity:
    cells = line.split("\t")
    if len(cells) != len(columns):
        raise _error(place, f"{len(cells)} cells, but the header has {len(columns)} columns")
    if any(cell != " ".join(cell.split()) for cell in cells):
        raise _error(place, f"a cell begins, ends or doubles a space: {cells}")
    name, article, *values = cells
    if not name or not article:
        raise _error(place, "name and article must not be empty")
    try:
        words = {
            column: Word.parse_cell(cell)
            for column, cell in zip(columns[2:], values, strict=True)
            if cell
        }
        return Entity({"name": Word.parse(name, article), **words})
    except GrammarError as error:
        raise _error(place, str(error)) from error


def _read_relation(file: str, table: dict[str, Any], columns: list[str], title: str) -> Relation:
    column = table.get("column", "?")
    place = f"{file} [{column}]"
    _check_keys(place, table, _RELATION_KEYS, required={"column", "training"})
    expects = table.get("expects", f"{{{column}}}")
    try:
        relation = Relation(
            column=column,
            title=table.get("title", title),
            training=_parse_all(table["training"]),
            follow=_parse_all(table.get("follow", ())),
            prompts=_parse_all(table.get("prompts", ())),
            expects=Template.parse(expects),
            questions=_parse_all(table.get("questions", ())),
            answer=Template.parse(table.get("answer", expects)),
            evaluate=table.get("evaluate", True),
        )
    except GrammarError as error:
        raise _error(place, str(error)) from error
    _check_relation(place, relation, columns)
    return relation


def _parse_all(sources: Iterable[str]) -> tuple[Template, ...]:
    return tuple(map(Template.parse, sources))


def _check_relation(place: str, relation: Relation, columns: list[str]) -> None:
    if relation.column not in columns[2:]:
        raise _error(
            place, f"no such column of facts: {relation.column!r}; the table has {columns[2:]}"
        )
    known = set(columns) - {"article"}
    for template in relation.templates():
        if unknown := sorted(template.columns - known):
            raise _error(
                place,
                f"unknown slot {unknown} in {template.source!r}; the columns are {sorted(known)}",
            )
    if len(relation.training) < MIN_TRAINING:
        raise _error(
            place,
            f"{len(relation.training)} training sentences: at least {MIN_TRAINING} are needed",
        )
    if relation.evaluate and not (relation.prompts and relation.questions):
        raise _error(place, "an evaluated relation needs prompts and questions")
    for template in (*relation.training, *relation.follow):
        _check_sentence(place, template, relation)
    for template in (*relation.prompts, *relation.questions):
        _check_held_out(place, template, relation)
    _check_unique(place, "template", (template.source for template in relation.templates()[:-2]))


def _check_sentence(place: str, template: Template, relation: Relation) -> None:
    source = template.source
    if relation.column not in template.columns:
        raise _error(place, f"the sentence does not state {{{relation.column}}}: {source!r}")
    if "name" not in template.columns and template in relation.training:
        raise _error(place, f"the training sentence does not name its entity: {source!r}")
    if not source.endswith(".") or source != " ".join(source.split()):
        raise _error(
            place, f"expected one sentence that ends with a full stop, single spaces: {source!r}"
        )


def _check_held_out(place: str, template: Template, relation: Relation) -> None:
    source = template.source
    if "name" not in template.columns or relation.column in template.columns:
        raise _error(place, f"a held-out template names its entity and not its answer: {source!r}")
    has_fixed_words = bool(template.longest_literal().strip() or template.agreeing)
    if source != " ".join(source.split()) or not has_fixed_words:
        raise _error(place, f"expected fixed words, single spaces and none at the end: {source!r}")
    if template in relation.questions and not source.endswith("?"):
        raise _error(place, f"expected a question mark at the end: {source!r}")


def _check_subject(subject: Subject, columns: list[str]) -> None:
    _check_unique(
        f"{subject.key}.toml", "relation", (relation.column for relation in subject.relations)
    )
    read = {c for relation in subject.relations for t in relation.templates() for c in t.columns}
    if unread := sorted(set(columns[2:]) - read):
        raise _error(f"{subject.key}.tsv", f"no template reads the columns {unread}")
    for entity in subject.entities:
        _check_statable(subject, entity)
        _check_agreement(subject, entity)


def _check_statable(subject: Subject, entity: Entity) -> None:
    relations = [relation for relation in subject.relations if relation.column in entity.words]
    if not relations:
        raise _error(f"{subject.key}.tsv", f"{entity.name!r} has no facts")
    for relation in relations:
        if not any(entity.has(template) for template in relation.training):
            message = f"{entity.name!r} leaves a slot of every training sentence of {relation.column!r} empty"
            raise _error(f"{subject.key}.tsv", message)


def _check_agreement(subject: Subject, entity: Entity) -> None:
    for relation in subject.relations:
        for template in relation.templates():
            for column in sorted(template.agreeing & entity.words.keys()):
                if entity.words[column].agreement is None:
                    value = entity.words[column].text
                    message = f"{entity.name!r}: {value!r} needs an article, since {template.source!r} agrees with it"
                    raise _error(f"{subject.key}.tsv [{column}]", message)


def _check_keys(place: str, table: dict[str, Any], known: set[str], required: set[str]) -> None:
    if unknown := sorted(table.keys() - known):
        raise _error(place, f"unknown keys {unknown}; expected {sorted(known)}")
    if missing := sorted(required - table.keys()):
        raise _error(place, f"missing keys {missing}")


def _check_unique(place: str, kind: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise _error(place, f"the {kind} {name!r} is there twice")
        seen.add(name)


def _error(place: str, message: str) -> KgptError:
    return KgptError(
        "A fact table is wrong", f"{place}: {message}.", "Correct the table and try again."
    )

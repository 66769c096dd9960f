"""Lessons as they are written: a file of `source` in, its header and its cells in one language out.

A source is a Python script in cells (jupytext's py:percent). It begins with a raw cell, the header:

    # %% [raw]
    # pt: Um tokenizador simples
    # en: A simple tokenizer
    # question_pt: Como um texto vira uma lista de números?
    # question_en: How does a text become a list of numbers?
    # minutes: 12
    # picture: 1

`picture` is the number of the lesson's picture that stands on the overview, counted from 1. Text is in pairs of cells,
`# %% [markdown] lang="pt"` and `# %% [markdown] lang="en"`; code belongs to both languages.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jupytext

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
SOURCES = FOLDER / "source"
LANGUAGES = ("pt", "en")
FIELDS = ("pt", "en", "question_pt", "question_en", "minutes", "picture")


class LessonError(Exception):
    """A lesson that is not written as the build expects, or whose code fails."""


@dataclass(frozen=True)
class Lesson:
    """A lesson's header, and where its files are."""

    path: Path
    number: int
    titles: dict[str, str]
    questions: dict[str, str]
    minutes: int
    picture: int
    """Which of its pictures stands on the overview, counted from 1."""

    def notebook(self, language: str) -> Path:
        """The built notebook in `language`."""
        name = unicodedata.normalize("NFKD", self.titles[language].lower())
        slug = re.sub(r"[^a-z0-9]+", "-", name.encode("ascii", "ignore").decode()).strip("-")
        return FOLDER / language / f"{self.number:02d}-{slug}.ipynb"

    def thumbnail(self, language: str) -> Path:
        """Its picture on the overview in `language`."""
        return FOLDER / "pictures" / f"{self.number:02d}-{language}.png"

    @cached_property
    def cells(self) -> list[Any]:
        """All cells but the header, in all languages, as jupytext reads them."""
        return list(jupytext.read(self.path, fmt="py:percent").cells[1:])

    def cells_in(self, language: str) -> list[Any]:
        """The cells a reader of `language` sees."""
        return [cell for cell in self.cells if cell.metadata.get("lang", language) == language]


def read_lessons() -> list[Lesson]:
    """All lessons, by number.

    Raises:
        LessonError: a header is not as expected, or two lessons have the same number.
    """
    lessons = [read_lesson(path) for path in sorted(SOURCES.glob("[0-9]*.py"))]
    numbers = [lesson.number for lesson in lessons]
    if len(set(numbers)) < len(numbers):
        raise LessonError(f"Two lessons have the same number: {numbers}")
    return lessons


def read_lesson(path: Path) -> Lesson:
    """The lesson in `path`.

    Raises:
        LessonError: its header lacks a field, or its text is not in pairs of languages.
    """
    cells = jupytext.read(path, fmt="py:percent").cells
    if not cells or cells[0].cell_type != "raw":
        raise LessonError(f"{path.name}: the first cell must be the header, `# %% [raw]`")
    lines = (line.partition(":") for line in cells[0].source.splitlines())
    header = {key.strip(): value.strip() for key, _, value in lines}
    missing = [field for field in FIELDS if not header.get(field)]
    if missing or not header["minutes"].isdigit() or not header["picture"].isdigit():
        raise LessonError(
            f"{path.name}: expected {', '.join(FIELDS)} in the header, the last two as numbers. "
            f"Received: {header}"
        )
    _check_pairs(path, cells[1:])
    return Lesson(
        path=path,
        number=int(path.name.partition("_")[0]),
        titles={language: header[language] for language in LANGUAGES},
        questions={language: header[f"question_{language}"] for language in LANGUAGES},
        minutes=int(header["minutes"]),
        picture=int(header["picture"]),
    )


def _check_pairs(path: Path, cells: list[Any]) -> None:
    """Every cell of text in Portuguese is followed by the one in English."""
    languages = [cell.metadata.get("lang") for cell in cells]
    for index, (cell, language) in enumerate(zip(cells, languages, strict=True)):
        begins = " ".join(cell.source.split())[:60]
        if cell.cell_type == "markdown" and language not in LANGUAGES:
            raise LessonError(f'{path.name}: text without lang="pt" or lang="en": {begins!r}')
        if language == "pt" and languages[index + 1 : index + 2] != ["en"]:
            raise LessonError(f"{path.name}: no English follows {begins!r}")
        if language == "en" and (index == 0 or languages[index - 1] != "pt"):
            raise LessonError(f"{path.name}: no Portuguese before {begins!r}")

"""The lessons as they are published: whole, alike in both languages, up to date, and right."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from kgpt.learning.checking import NOT_YET
from notebooks.build import LARGEST, LIMIT, is_current, notebook_of
from notebooks.execution import execute
from notebooks.lessons import LANGUAGES, ROOT, Lesson, LessonError, read_lessons
from notebooks.overview import PAGES, page

LESSONS = read_lessons()
SAMPLE = ((1, "pt"), (4, "en"), (6, "pt"), (12, "en"))
"""Lessons that are executed at every run: those that do not take long."""
BROKEN = {
    4: (
        "the same merges",
        """
from kgpt.text import tokenizer as broken
right = broken.learn
def learn(*args):
    vocabulary, merges, *others = right(*args)
    return vocabulary, merges[::-1], *others
broken.learn = learn
""",
    ),
    7: (
        "the same gradient of weight_IH",
        """
from kgpt.learning import parts
broken = parts("6")
right = broken.loss_and_gradients
def loss_and_gradients(*args):
    loss, (first, *others) = right(*args)
    return loss, [1.001 * first, *others]
broken.loss_and_gradients = loss_and_gradients
""",
    ),
    16: (
        "logits equal to kgpt's",
        """
from kgpt.model import gpt as broken
import dataclasses
right = broken.build_gpt
broken.build_gpt = lambda config: right(dataclasses.replace(config, norm_epsilon=0.01))
""",
    ),
    21: (
        "equal to kgpt's loss",
        """
from kgpt.training import losses as broken
right = broken.TrainedGPT.compute_loss
def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
    return right(self, x, y, y_pred, None, training)
broken.TrainedGPT.compute_loss = compute_loss
""",
    ),
}
"""What breaks the equality that a lesson claims, and the check that has to notice."""
HEADINGS = {
    "pt": ("Quebre e veja", "Exercícios", "Onde isto mora no kgpt", "O que vem depois"),
    "en": ("Break it", "Exercises", "Where this lives in kgpt", "What comes next"),
}
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)|(?:href|src)=\"([^\"]+)\"")

each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.path.stem)
each_language = pytest.mark.parametrize("language", LANGUAGES)


def tagged(lesson: Lesson, tag: str) -> list[str]:
    return [cell.source for cell in lesson.cells if tag in cell.metadata.get("tags", [])]


def broken_links(text: str, folder: Path) -> list[str]:
    targets = [first or second for first, second in LINK.findall(text)]
    return [
        target
        for target in targets
        if not target.startswith("https://") and not (folder / target).exists()
    ]


def test_lessons_are_numbered_without_holes():
    assert [lesson.number for lesson in LESSONS] == list(range(1, len(LESSONS) + 1))


@each_lesson
def test_a_lesson_has_all_its_parts(lesson: Lesson):
    for language, headings in HEADINGS.items():
        texts = [cell.source for cell in lesson.cells_in(language) if cell.cell_type == "markdown"]
        found = [line[3:] for text in texts for line in text.splitlines() if line.startswith("## ")]
        assert [heading for heading in found if heading in headings] == list(headings)
        where = next(text for text in texts if f"## {headings[2]}" in text)
        assert "](../../kgpt/" in where or "](../../workbench/" in where
        assert lesson.questions[language].endswith("?")
    assert 5 <= lesson.minutes <= 20
    exercises, solutions = tagged(lesson, "exercise"), tagged(lesson, "solution")
    assert 2 <= len(exercises) == len(solutions)
    for cell in exercises:
        assert "..." in cell and "check" in cell
    for cell in solutions:
        assert "check" in cell
    hidden = [
        cell.metadata.get("jupyter")
        for cell in lesson.cells
        if "solution" in cell.metadata.get("tags", [])
    ]
    assert hidden == [{"source_hidden": True}] * len(solutions)


@each_language
@each_lesson
def test_links_lead_somewhere(lesson: Lesson, language: str):
    notebook = notebook_of(lesson, language, LESSONS)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert broken_links(text, lesson.notebook(language).parent) == []


@each_lesson
def test_both_languages_have_the_same_cells(lesson: Lesson):
    portuguese, english = (nbformat.read(lesson.notebook(one), 4).cells for one in LANGUAGES)
    assert [cell.cell_type for cell in portuguese] == [cell.cell_type for cell in english]
    code = [
        (one.source, two.source)
        for one, two in zip(portuguese, english, strict=True)
        if one.cell_type == "code"
    ]
    assert [one != two for one, two in code] == [True] + [False] * (len(code) - 1)


@each_language
@each_lesson
def test_notebooks_are_those_of_their_sources(lesson: Lesson, language: str):
    assert is_current(lesson, language, LESSONS), "run: python -m notebooks.build"


@each_language
@each_lesson
def test_published_results_are_whole_and_right(lesson: Lesson, language: str):
    path = lesson.notebook(language)
    assert path.stat().st_size <= LARGEST
    pictures = 0
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type != "code":
            continue
        assert cell.execution_count
        for output in cell.outputs:
            assert output.output_type != "error"
            pictures += "image/png" in output.get("data", {})
            shown = output.get("text") or output.get("data", {}).get("text/plain", "")
            assert not re.search(r"/(tmp|home|root|Users)/|[A-Z]:\\", shown)
            if "exercise" not in cell.metadata.get("tags", []):
                assert NOT_YET not in shown
    assert pictures


@each_language
def test_the_overview_shows_every_lesson(language: str):
    written = PAGES[language].read_text(encoding="utf-8")
    assert written == page(LESSONS, language), "run: python -m notebooks.build"
    assert broken_links(written, PAGES[language].parent) == []
    for lesson in LESSONS:
        assert lesson.titles[language] in written


@pytest.mark.parametrize("name", ["README.md", "README.pt-BR.md"])
def test_both_readmes_lead_to_the_path(name: str):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert f"](notebooks/{'README.md' if name == 'README.md' else 'LEIAME.md'})" in text


def test_the_environment_of_make_learn_has_what_lessons_use():
    with open(ROOT / "pyproject.toml", "rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    assert "kgpt[serve]" in extras["learn"]  # lesson 24 serves a model


@pytest.mark.parametrize(("number", "language"), SAMPLE)
def test_a_sample_of_lessons_runs(number: int, language: str):
    lesson = LESSONS[number - 1]
    execute(notebook_of(lesson, language, LESSONS), lesson.path.name)


@pytest.mark.parametrize(
    "number", [4, *(pytest.param(number, marks=pytest.mark.long) for number in (7, 16, 21))]
)
def test_a_lesson_fails_when_what_it_claims_no_longer_holds(number: int):
    claim, code = BROKEN[number]
    lesson = LESSONS[number - 1]
    notebook = notebook_of(lesson, "en", LESSONS)
    first = next(index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    notebook.cells.insert(first + 1, v4.new_code_cell(code))
    with pytest.raises(LessonError, match=f"ValueError: {claim}: "):
        execute(notebook, lesson.path.name)


@pytest.mark.long
@each_language
@each_lesson
def test_every_lesson_runs_in_a_minute(lesson: Lesson, language: str):
    assert execute(notebook_of(lesson, language, LESSONS), lesson.path.name).processor < LIMIT

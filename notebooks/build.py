"""Build the notebooks: `python -m notebooks.build`, in the project's folder.

In: the sources in `notebooks/source`. Out: `notebooks/pt` and `notebooks/en`, executed, with outputs; a small picture
of each lesson; the overview pages. A notebook that has the code of its source is not executed again, unless the lesson
is named or `--all` is given; text that changed is put in. `--times` executes lessons, writes nothing, and prints how
long each takes.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbformat import v4

from kgpt.files import write_atomically
from notebooks.execution import Spent, execute
from notebooks.frame import closing, linked, opening
from notebooks.lessons import LANGUAGES, Lesson, LessonError, read_lessons
from notebooks.overview import write_pages, write_thumbnail

LIMIT = 60.0
"""Seconds of processor that a lesson may take: with two cores to itself it is done in less."""
LARGEST = 400_000
"""Bytes of a notebook, at most."""


def notebook_of(lesson: Lesson, language: str, lessons: list[Lesson]) -> Any:
    """The lesson's notebook in `language`, without outputs."""
    cells = opening(lesson, language)
    for cell in lesson.cells_in(language):
        if cell.cell_type == "markdown":
            cells.append(v4.new_markdown_cell(linked(cell.source, language, lessons)))
        else:
            kept = {key: cell.metadata[key] for key in ("tags", "jupyter") if key in cell.metadata}
            cells.append(v4.new_code_cell(cell.source, metadata=kept))
    cells.append(closing(lesson, language, lessons))
    for index, cell in enumerate(cells):
        cell.id = f"lesson-{lesson.number:02d}-cell-{index:02d}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def is_current(lesson: Lesson, language: str, lessons: list[Lesson]) -> bool:
    """Whether the built notebook has exactly the cells of the source."""
    path = lesson.notebook(language)
    if not path.is_file() or not lesson.thumbnail(language).is_file():
        return False
    wanted = notebook_of(lesson, language, lessons).cells
    return _shown(nbformat.read(path, 4).cells) == _shown(wanted)


def take_outputs(notebook: Any, lesson: Lesson, language: str) -> bool:
    """Give `notebook` the outputs of the built one, if there is one of the same code; whether it did."""
    path = lesson.notebook(language)
    if not path.is_file():
        return False
    built = _code(nbformat.read(path, 4))
    wanted = _code(notebook)
    if _shown(built) != _shown(wanted):
        return False
    for old, new in zip(built, wanted, strict=True):
        new.outputs, new.execution_count = old.outputs, old.execution_count
    return True


def _code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _shown(cells: list[Any]) -> list[tuple[str, str, list[str]]]:
    return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in cells]


def build(lesson: Lesson, language: str, lessons: list[Lesson], *, anew: bool = True) -> float:
    """Write the lesson's notebook and picture in `language`, executed; the seconds of processor it took, or 0.

    Raises:
        LessonError: a cell fails, a claim does not hold, or the notebook is too large.
    """
    notebook = notebook_of(lesson, language, lessons)
    seconds = 0.0
    if anew or not take_outputs(notebook, lesson, language):
        seconds = execute(notebook, f"{lesson.path.name} ({language})").processor
    path = lesson.notebook(language)
    written = nbformat.writes(notebook) + "\n"
    if len(written.encode()) > LARGEST:
        raise LessonError(f"{path.name} has {len(written.encode()):,} bytes of {LARGEST:,} at most")
    path.parent.mkdir(exist_ok=True)
    write_thumbnail(notebook, lesson, language)
    for old in path.parent.glob(f"{lesson.number:02d}-*.ipynb"):  # under an earlier title
        if old != path:
            old.unlink()
    write_atomically(path, written)
    return seconds


def main(arguments: list[str] | None = None) -> int:
    """Build what the command line asks for; 1 if a lesson fails or takes too long."""
    parser = argparse.ArgumentParser(prog="python -m notebooks.build", description=__doc__)
    parser.add_argument("lessons", nargs="*", type=int, metavar="NUMBER", help="these lessons only")
    parser.add_argument("--all", action="store_true", help="build what is up to date, too")
    parser.add_argument("--times", action="store_true", help="time the lessons, write nothing")
    asked = parser.parse_args(arguments)
    try:
        lessons = read_lessons()
        unknown = set(asked.lessons) - {lesson.number for lesson in lessons}
        if unknown:
            raise LessonError(f"There is no lesson {', '.join(map(str, sorted(unknown)))}.")
        chosen = [one for one in lessons if not asked.lessons or one.number in asked.lessons]
        if asked.times:
            return _time(chosen, lessons)
        _build_all(chosen, lessons, anew=asked.all or bool(asked.lessons))
    except LessonError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _build_all(chosen: list[Lesson], lessons: list[Lesson], *, anew: bool) -> None:
    write_pages(lessons)
    for lesson in chosen:
        for language in LANGUAGES:
            path = Path(os.path.relpath(lesson.notebook(language)))
            if not anew and is_current(lesson, language, lessons):
                write_thumbnail(nbformat.read(path, 4), lesson, language)  # another may be wanted
                print(f"{path}  up to date")
            else:
                seconds = build(lesson, language, lessons, anew=anew)
                took = f"{seconds:.1f} s of processor" if seconds else "text"
                print(f"{path}  {took}", flush=True)


def _time(chosen: list[Lesson], lessons: list[Lesson]) -> int:
    language = LANGUAGES[0]
    taken = []
    for lesson in chosen:
        spent = execute(notebook_of(lesson, language, lessons), lesson.path.name)
        taken.append(spent)
        note = f"  more than {LIMIT:.0f} s of processor" if spent.processor > LIMIT else ""
        print(f"{lesson.number:>3}  {_figures(spent)}  {lesson.titles[language]}{note}", flush=True)
    seconds = sum(spent.seconds for spent in taken)
    processor = sum(spent.processor for spent in taken)
    print(f"all  {_figures(Spent(seconds, processor))}")
    return 1 if any(spent.processor > LIMIT for spent in taken) else 0


def _figures(spent: Spent) -> str:
    return f"{spent.seconds:6.1f} s  {spent.processor:6.1f} s of processor"


if __name__ == "__main__":
    sys.exit(main())

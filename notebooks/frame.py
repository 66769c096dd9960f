"""What stands around every lesson: a lesson and a language in; title, Colab button, first cell and last lines out."""

from __future__ import annotations

import tomllib
from typing import Any

from nbformat import v4

from notebooks.lessons import LANGUAGES, ROOT, Lesson

_WORDS = {
    "pt": {
        "lesson": "Aula {number}",
        "minutes": "{minutes} minutos de leitura",
        "overview": "[todas as aulas](../LEIAME.md)",
        "other": "[in English](../en/{name})",
        "colab": "Abrir no Colab",
        "run": "Execute primeiro a célula abaixo e depois as outras, de cima para baixo "
        "(*Run → Run All Cells*). Cada aula funciona sozinha: não é preciso ter executado as anteriores.",
        "python": "O kgpt precisa do Python 3.11, 3.12 ou 3.13, e este é o {}. "
        "Abra o caderno com um deles: `make learn` cuida disso.",
        "missing": "Falta o kgpt, ou uma parte dele ({}). Feche este caderno e, na pasta do projeto, "
        "abra o caminho com `make learn`.",
        "before": "← {title}",
        "after": "{title} →",
        "all": "Todas as aulas",
        "readme": "LEIAME.md",
    },
    "en": {
        "lesson": "Lesson {number}",
        "minutes": "{minutes} minutes to read",
        "overview": "[all lessons](../README.md)",
        "other": "[em português](../pt/{name})",
        "colab": "Open in Colab",
        "run": "Run the cell below first and then the others, from top to bottom "
        "(*Run → Run All Cells*). Every lesson stands alone: you need not have run the ones before it.",
        "python": "kgpt needs Python 3.11, 3.12 or 3.13, and this is {}. "
        "Open the notebook with one of them: `make learn` sees to it.",
        "missing": "kgpt is missing, or a part of it ({}). Close this notebook and open the path "
        "with `make learn` in the project's folder.",
        "before": "← {title}",
        "after": "{title} →",
        "all": "All lessons",
        "readme": "README.md",
    },
}

_FIRST_CELL = """
import subprocess
import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    raise SystemExit({python!r}.format(sys.version.split()[0]))
if "google.colab" in sys.modules:
    for command in (
        ["git", "clone", "--quiet", "--depth", "1", "{repository}", "/content/kgpt"],
        [sys.executable, "-m", "pip", "install", "--quiet", "-e", "/content/kgpt[learn]"],
    ):
        subprocess.run(command, check=False)
    sys.path.insert(0, "/content/kgpt")
try:
    from kgpt.learning import begin
except ImportError as error:
    raise SystemExit({missing!r}.format(error)) from None
begin("{language}")
"""


def repository() -> str:
    """The project's address, which `pyproject.toml` says."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        address: str = tomllib.load(file)["project"]["urls"]["Repository"]
    return address.rstrip("/").removesuffix(".git")


def opening(lesson: Lesson, language: str) -> list[Any]:
    """Title, question and links; and the first code cell, the only one that differs between languages."""
    words = _WORDS[language]
    other = next(one for one in LANGUAGES if one != language)
    address = repository().removeprefix("https://github.com/")
    own = lesson.notebook(language)
    colab = f"https://colab.research.google.com/github/{address}/blob/main/notebooks/{language}/{own.name}"
    badge = (
        f"[![{words['colab']}](https://colab.research.google.com/assets/colab-badge.svg)]({colab})"
    )
    links = " · ".join(
        (
            words["lesson"].format(number=lesson.number),
            words["minutes"].format(minutes=lesson.minutes),
            words["overview"],
            words["other"].format(name=lesson.notebook(other).name),
        )
    )
    title = (
        f"# {lesson.titles[language]}\n\n**{lesson.questions[language]}**\n\n{links}\n\n{badge}\n\n"
        f"{words['run']}"
    )
    code = _FIRST_CELL.strip().format(
        python=words["python"],
        missing=words["missing"],
        repository=repository(),
        language=language,
    )
    return [v4.new_markdown_cell(title), v4.new_code_cell(code)]


def closing(lesson: Lesson, language: str, lessons: list[Lesson]) -> Any:
    """The way to the lesson before, to all lessons, and to the next."""
    words = _WORDS[language]
    links = [f"[{words['all']}](../{words['readme']})"]
    for neighbour in lessons:
        place = {lesson.number - 1: "before", lesson.number + 1: "after"}.get(neighbour.number)
        if place:
            text = words[place].format(title=neighbour.titles[language])
            links.insert(
                0 if place == "before" else len(links),
                f"[{text}]({neighbour.notebook(language).name})",
            )
    return v4.new_markdown_cell("---\n\n" + " · ".join(links))


def linked(text: str, language: str, lessons: list[Lesson]) -> str:
    """`text` with links such as `(lesson:4)` replaced by the files of those lessons, as far as there are any."""
    for lesson in lessons:
        text = text.replace(f"](lesson:{lesson.number})", f"]({lesson.notebook(language).name})")
    return text

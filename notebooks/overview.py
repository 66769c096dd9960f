"""The path at a glance: lessons and built notebooks in; two pages, with a picture for each lesson, out."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

from PIL import Image

from kgpt.files import write_atomically
from notebooks.lessons import FOLDER, Lesson, LessonError

WIDTH = 360
"""Pixels of a picture on the overview."""
PAGES = {"pt": FOLDER / "LEIAME.md", "en": FOLDER / "README.md"}
_FLOORS = {
    "pt": ("Texto", "Redes", "Atenção", "Modelos"),
    "en": ("Text", "Networks", "Attention", "Models"),
}
_FIRST = (1, 5, 12, 17)
"""The first lesson of each group."""
_TEXTS = {
    "pt": """# O caminho: entenda um GPT executando um

*[In English](README.md).*

{count} aulas curtas, de 10 a 20 minutos cada uma. Começam cortando uma frase nos espaços e terminam no código que
treina o seu próprio modelo. Cada aula tem uma pergunta, o menor código que responde a ela, um desenho, uma coisa para
quebrar e ver quebrar, exercícios que se corrigem sozinhos e o lugar onde aquilo mora no kgpt. Nada é baixado: os textos
vêm da enciclopédia embutida, e o modelo de que uma aula precisa é treinado nela.

```sh
make learn
```

abre o caminho no Jupyter, num ambiente só dele. Para apenas ler, basta clicar: os cadernos já vêm com os resultados.
Cada um tem também um botão que o abre no Colab. Os termos estão no [glossário](../docs/glossario.md).
""",
    "en": """# The path: understand a GPT by running one

*[Em português](LEIAME.md).*

{count} short lessons, 10 to 20 minutes each. They begin with cutting a sentence at its spaces and end in the very code
that trains your own model. Each has a question, the smallest code that answers it, a picture, one thing to break and
see break, exercises that check themselves, and the place where all this lives in kgpt. Nothing is downloaded: texts
come from the built-in encyclopedia, and a lesson that needs a trained model trains it. The example sentences are in
Portuguese, as the encyclopedia is; all that is said about them is in English.

```sh
make learn
```

opens the path in Jupyter, in an environment of its own. To read along, just click: the notebooks come with their
results. Each has a button that opens it in Colab, too. Terms are in the [glossary](../docs/glossario.md).
""",
}


def page(lessons: list[Lesson], language: str) -> str:
    """The overview in `language`, as Markdown."""
    lines = [_TEXTS[language].format(count=len(lessons))]
    for lesson in lessons:
        if lesson.number in _FIRST:
            lines.append(f"\n## {_FLOORS[language][_FIRST.index(lesson.number)]}\n")
            lines.append("| | |\n|---|---|")
        link = f"{language}/{lesson.notebook(language).name}"
        picture = f"pictures/{lesson.thumbnail(language).name}"
        title = lesson.titles[language]
        lines.append(
            f'| <a href="{link}"><img src="{picture}" width="{WIDTH // 2}" alt="{title}"></a> '
            f"| **[{lesson.number}. {title}]({link})** · {lesson.minutes} min<br>{lesson.questions[language]} |"
        )
    return "\n".join(lines) + "\n"


def write_pages(lessons: list[Lesson]) -> None:
    """Write both pages."""
    for language, path in PAGES.items():
        write_atomically(path, page(lessons, language))


def write_thumbnail(notebook: Any, lesson: Lesson, language: str) -> None:
    """Write the small form of the lesson's picture, taken from the notebook's outputs.

    Raises:
        LessonError: the notebook does not show so many pictures.
    """
    pictures = [
        output.data["image/png"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    if not 1 <= lesson.picture <= len(pictures):
        raise LessonError(
            f"{lesson.path.name}: expected `picture` from 1 to {len(pictures)}. Received: {lesson.picture}"
        )
    drawn = Image.open(io.BytesIO(base64.b64decode(pictures[lesson.picture - 1]))).convert("RGB")
    height = round(drawn.height * WIDTH / drawn.width)
    small = drawn.resize((WIDTH, height), Image.Resampling.LANCZOS)
    small = small.quantize(256, method=Image.Quantize.MAXCOVERAGE)  # which keeps rare colours
    written = io.BytesIO()
    small.save(written, format="PNG", optimize=True)
    path = lesson.thumbnail(language)
    Path(path.parent).mkdir(exist_ok=True)
    write_atomically(path, written.getvalue())

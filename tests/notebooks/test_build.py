"""The build: what it refuses, what it leaves alone, and what a lesson's first cell says."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import v4
from PIL import Image

import notebooks.build as building
import notebooks.lessons as reading
import notebooks.overview as overview
from kgpt.learning.language import LANGUAGE
from notebooks.build import notebook_of
from notebooks.frame import opening, repository
from notebooks.lessons import ROOT, LessonError, read_lesson

LESSON = """# %% [raw]
# pt: Uma aula pequena
# en: A small lesson
# question_pt: Quanto é?
# question_en: How much is it?
# minutes: 5
# picture: 1

# %% [markdown] lang="pt"
# Uma soma.

# %% [markdown] lang="en"
# A sum.

# %%
from kgpt.learning import check, figure, say, show

drawing, axes = figure(4, 2)
axes.set_title(say("um desenho", "a picture"))
show(drawing)
print(say("olá", "hello"))
check("sum", 1 + 1, 2)

# %% tags=["exercise"]
answer = ...
check("exercise", answer, 3)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty learning path."""
    (tmp_path / "source").mkdir()
    monkeypatch.setattr(reading, "FOLDER", tmp_path)
    monkeypatch.setattr(reading, "SOURCES", tmp_path / "source")
    pages = {"pt": tmp_path / "LEIAME.md", "en": tmp_path / "README.md"}
    monkeypatch.setattr(overview, "PAGES", pages)
    return tmp_path


def write(folder: Path, text: str, name: str = "01_small.py") -> Path:
    path = folder / "source" / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_lesson_is_built_in_both_languages_and_then_left_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    write(folder, LESSON)
    assert building.main([]) == 0
    shown = {}
    for language, name in (("pt", "01-uma-aula-pequena"), ("en", "01-a-small-lesson")):
        notebook = nbformat.read(folder / language / f"{name}.ipynb", 4)
        shown[language] = "".join(
            output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
        )
        assert (folder / "pictures" / f"01-{language}.png").stat().st_size < 20_000
    assert "olá" in shown["pt"] and "✓ sum: certo" in shown["pt"]
    assert "hello" in shown["en"] and "○ exercise: your turn" in shown["en"]
    assert "pt/01-uma-aula-pequena.ipynb" in (folder / "LEIAME.md").read_text(encoding="utf-8")

    capsys.readouterr()
    picture = (folder / "pictures" / "01-pt.png").read_bytes()
    (folder / "pictures" / "01-pt.png").write_bytes(b"another")
    assert building.main([]) == 0
    assert capsys.readouterr().out.count("up to date") == 2
    assert (folder / "pictures" / "01-pt.png").read_bytes() == picture

    write(folder, LESSON.replace("Uma soma.", "Uma soma simples."))
    assert building.main([]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[1] for line in out] == ["text", "up to date"]
    notebook = nbformat.read(folder / "pt" / "01-uma-aula-pequena.ipynb", 4)
    assert notebook.cells[2].source == "Uma soma simples."
    assert "olá" in str([cell.get("outputs") for cell in notebook.cells])

    write(folder, LESSON.replace("# en: A small", "# en: A tiny"))
    assert building.main([]) == 0
    assert [path.name for path in (folder / "en").iterdir()] == ["01-a-tiny-lesson.ipynb"]


def test_small_pictures_keep_colours_that_cover_little(folder: Path):
    drawn = Image.linear_gradient("L").resize((720, 400)).convert("RGB")
    drawn.paste("#D55E00", (100, 100, 130, 120))
    content = io.BytesIO()
    drawn.save(content, format="PNG")
    shown = v4.new_output(
        "display_data", {"image/png": base64.b64encode(content.getvalue()).decode()}
    )
    lesson = read_lesson(write(folder, LESSON))
    overview.write_thumbnail(
        v4.new_notebook(cells=[v4.new_code_cell("", outputs=[shown])]), lesson, "pt"
    )
    small = Image.open(lesson.thumbnail("pt")).convert("RGB")
    red, green, blue = small.getpixel((57, 55))
    assert small.width == 360 and red > 190 and 60 < green < 120 and blue < 40


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("# %% [raw]\n", "# %% [markdown]\n", "must be the header"),
        ("# question_en: How much is it?\n", "", "question_en"),
        ("# minutes: 5", "# minutes: five", "numbers"),
        ('# %% [markdown] lang="en"\n# A sum.\n', "", "no English follows 'Uma soma.'"),
        ('# %% [markdown] lang="pt"\n# Uma soma.\n', "", "no Portuguese before 'A sum.'"),
        ('[markdown] lang="en"', "[markdown]", "no English follows"),
    ],
)
def test_a_lesson_written_otherwise_is_refused(folder: Path, old: str, new: str, said: str):
    assert old in LESSON
    path = write(folder, LESSON.replace(old, new))
    with pytest.raises(LessonError, match=said):
        read_lesson(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1 + 1, 2", "1 + 1, 3", "sum: "),
        ("1 + 1, 2", "None, 2", "not tagged `exercise`"),
        ("# picture: 1", "# picture: 2", "`picture` from 1 to 1"),
        (
            'print(say("olá"',
            'print("WARNING:tensorflow:slow")\nprint(say("olá"',
            "library's warning",
        ),
    ],
)
def test_a_claim_that_does_not_hold_is_not_published(
    folder: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
):
    write(folder, LESSON.replace(old, new))
    assert building.main([]) == 1
    assert said in capsys.readouterr().err
    assert not list(folder.glob("*/*.ipynb"))


def test_times_are_printed_and_nothing_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    write(folder, LESSON)
    assert building.main(["--times"]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first.split()[0] == "1" and first.endswith("Uma aula pequena")
    assert float(first.split()[3]) > 0 and first.split()[4:7] == ["s", "of", "processor"]
    assert last.startswith("all")
    monkeypatch.setattr(building, "LIMIT", 0.01)
    assert building.main(["1", "--times"]) == 1
    assert not list(folder.glob("*/*.ipynb"))
    assert building.main(["7"]) == 1
    assert "There is no lesson 7" in capsys.readouterr().err


def first_cell(folder: Path, language: str) -> str:
    lesson = read_lesson(write(folder, LESSON))
    source: str = opening(lesson, language)[1].source
    return source


@pytest.mark.parametrize(("language", "said"), [("pt", "Falta o kgpt"), ("en", "kgpt is missing")])
def test_the_first_cell_says_what_to_do_without_kgpt(folder: Path, language: str, said: str):
    code = first_cell(folder, language)
    bare = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert bare.returncode == 1 and said in bare.stderr and "make learn" in bare.stderr
    assert "Traceback" not in bare.stderr


@pytest.mark.parametrize(
    ("language", "said", "greeting"),
    [
        ("pt", "O kgpt precisa do Python 3.11, 3.12 ou 3.13, e este é o 3.9.1", "Tudo pronto"),
        ("en", "kgpt needs Python 3.11, 3.12 or 3.13, and this is 3.9.1", "All is ready"),
    ],
)
def test_the_first_cell_refuses_an_older_python_and_greets_otherwise(
    folder: Path, language: str, said: str, greeting: str
):
    older = "import sys\nsys.version, sys.version_info = '3.9.1 ', (3, 9, 1)\n"
    code = first_cell(folder, language)
    refused = subprocess.run(
        [sys.executable, "-c", older + code], capture_output=True, text=True, timeout=60
    )
    assert refused.returncode == 1 and said in refused.stderr and "make learn" in refused.stderr
    assert "Traceback" not in refused.stderr
    ready = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ready.returncode == 0 and ready.stdout.startswith(greeting), ready.stderr


@pytest.mark.parametrize(("language", "said"), [("pt", "Há uma GPU"), ("en", "There is a GPU")])
def test_the_first_cell_says_what_a_gpu_changes(folder: Path, language: str, said: str):
    (folder / "nvidia-smi").touch(mode=0o755)
    done = subprocess.run(
        [sys.executable, "-c", first_cell(folder, language)],
        capture_output=True, text=True, timeout=60, env={**os.environ, "PATH": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0 and said in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("language", "said"),
    [("pt", "Falta um nome que uma célula mais acima cria"), ("en", "made by a cell further up")],
)
def test_a_cell_run_too_early_says_what_to_do(folder: Path, language: str, said: str):
    early = LESSON.replace("1 + 1, 2", "later, 2") + "\n# %%\nlater = 2\n"
    notebook = notebook_of(read_lesson(write(folder, early)), language, [])
    client = NotebookClient(notebook, timeout=60, allow_errors=True)
    client.execute(env={**os.environ, "PYTHONPATH": str(ROOT)})
    failed = next(cell for cell in notebook.cells if "later, 2" in cell.source)
    shown = [output.get("ename") or output.get("text", "") for output in failed.outputs]
    assert "NameError" in shown and said in shown[-1]


def test_a_cell_run_without_the_first_says_in_both_languages_what_to_do(folder: Path):
    notebook = notebook_of(read_lesson(write(folder, LESSON)), "en", [])
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    notebook.cells = cells[1:]
    client = NotebookClient(notebook, timeout=60, allow_errors=True)
    environment = {key: value for key, value in os.environ.items() if key != LANGUAGE}
    client.execute(env={**environment, "PYTHONPATH": str(ROOT)})
    error = next(output for output in cells[1].outputs if output.output_type == "error")
    assert error.ename == "KgptError"
    assert "Execute antes a primeira célula" in error.evalue
    assert "Run the notebook's first cell first" in error.evalue


def test_buttons_and_first_cells_lead_to_the_projects_address(folder: Path):
    lesson = read_lesson(write(folder, LESSON))
    title, code = opening(lesson, "pt")
    owner = repository().removeprefix("https://github.com/")
    assert f"colab.research.google.com/github/{owner}/blob/main/notebooks/pt/" in title.source
    assert f'"{repository()}"' in code.source

"""What lessons share: words in two languages, checks, pictures, text, parts of earlier lessons."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

import kgpt
from kgpt import language
from kgpt.errors import KgptError
from kgpt.learning import begin, check, check_below, corpus, number, parts, say, sentences
from kgpt.learning.beginning import SETTINGS, after_cell


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    spoken = language.current()
    for name in (*SETTINGS, language.VARIABLE):  # what a lesson's beginning sets, and leaves
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setattr(logging.getLogger("tensorflow"), "filters", [])
    monkeypatch.setenv("KGPT_LEARN_LANGUAGE", "en")
    monkeypatch.delenv("KGPT_LEARN_STRICT", raising=False)
    yield
    language.use(spoken)


def test_words_and_numbers_follow_the_language(monkeypatch: pytest.MonkeyPatch):
    assert say("gato", "cat") == "cat" and number(1234.5) == "1,234.50"
    monkeypatch.setenv("KGPT_LEARN_LANGUAGE", "pt")
    assert say("gato", "cat") == "gato" and number(1234.5) == "1.234,50"


def test_a_lesson_begins_in_its_language_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    begin("pt")
    assert capsys.readouterr().out.startswith("Tudo pronto") and say("gato", "cat") == "gato"
    with pytest.raises(KgptError, match="Língua desconhecida"):
        begin("fr")
    begin("en")
    assert capsys.readouterr().out.startswith("All is ready") and say("gato", "cat") == "cat"
    with pytest.raises(KgptError, match="Unknown language"):
        begin("fr")


@pytest.mark.parametrize(("chosen", "said"), [("pt", "Assunto desconhecido"), ("en", "Unknown s")])
def test_what_kgpt_says_is_in_the_lessons_language_too(chosen: str, said: str):
    begin(chosen)
    with pytest.raises(KgptError, match=said):
        corpus(1000, subjects=["cities"])
    assert os.environ["KGPT_LANGUAGE"].startswith(chosen)  # for child processes


def test_nothing_is_said_before_the_first_cell_has_been_run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("KGPT_LEARN_LANGUAGE")
    with pytest.raises(KgptError, match="Run the notebook's first cell first"):
        check("answer", 3, 3)


def test_a_lesson_shows_errors_of_tensorflow_and_no_warnings(caplog: pytest.LogCaptureFixture):
    begin("en")
    logger = logging.getLogger("tensorflow")
    with caplog.at_level(logging.INFO, "tensorflow"):  # as TensorFlow sets it in a notebook
        logger.warning("retracing")
        logger.error("no memory")
    assert caplog.messages == ["no memory"]


def test_after_a_cell_that_lacks_a_name_the_reader_is_told_what_to_do(
    capsys: pytest.CaptureFixture[str],
):
    after_cell(SimpleNamespace(error_in_exec=NameError("name 'tokens' is not defined")))
    assert "Run All Above" in capsys.readouterr().out
    after_cell(SimpleNamespace(error_in_exec=ValueError("2")))
    after_cell(SimpleNamespace(error_in_exec=None))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("got", "expected", "tolerance"),
    [
        (3, 3, 0), (3.04, 3, 0.05), ([1, 2], np.array([1.0, 2.0]), 0), ("rio", "rio", 0),
        ({"a": 1}, {"a": 1}, 0), (True, True, 0), ([], [], 0), (["a", 1], ["a", 1], 0),
        (np.float32(1.5), 1.5, 0), ([[1, 2], [3, 4]], ((1, 2), (3, 4)), 0),
    ],
)  # fmt: skip
def test_right_answers_are_right(got, expected, tolerance, monkeypatch, capsys):
    monkeypatch.setenv("KGPT_LEARN_STRICT", "1")
    check("answer", got, expected, tolerance)
    assert capsys.readouterr().out == "✓ answer: right\n"


@pytest.mark.parametrize(
    ("got", "expected", "tolerance", "said"),
    [
        (3.06, 3, 0.05, "largest difference: 0.06"), ("mar", "rio", 0, "received: 'mar'"),
        ([1, 2, 3], [1, 2], 0, "got (3,), expected (2,)"), (float("nan"), 1.0, 9, "nan"),
        ("rio", 3, 0, "expected numbers"), ([1, "x"], [1, 2], 0, "expected numbers"),
        ([[1], [2, 3]], [1, 2], 0, "expected numbers"), (False, True, 0, "False"),
    ],
)  # fmt: skip
def test_wrong_answers_say_what_is_wrong_and_stop_only_the_build(
    got, expected, tolerance, said, monkeypatch, capsys
):
    check("answer", got, expected, tolerance)
    out = capsys.readouterr().out
    assert out.startswith("○ answer: not yet") and said in out
    monkeypatch.setenv("KGPT_LEARN_STRICT", "1")
    with pytest.raises(ValueError, match="^answer: "):
        check("answer", got, expected, tolerance)


@pytest.mark.parametrize("got", [None, ...])
def test_an_exercise_not_yet_solved_stops_nothing(got, monkeypatch, capsys):
    monkeypatch.setenv("KGPT_LEARN_STRICT", "1")
    check("answer", got, 3)
    check_below("loss", got, 3)
    assert capsys.readouterr().out.count("your turn") == 2


def test_a_number_is_below_its_bound_or_not(monkeypatch, capsys):
    check_below("loss", np.float32(1.25), 1.5)
    assert capsys.readouterr().out == "✓ loss: 1.2500 < 1.5000\n"
    check_below("difference", 5.4e-11, 1e-8)
    assert capsys.readouterr().out == "✓ difference: 5e-11 < 1e-08\n"
    check_below("loss", 1.5, 1.5)
    assert "1.5000 is not below 1.5000" in capsys.readouterr().out
    monkeypatch.setenv("KGPT_LEARN_STRICT", "1")
    with pytest.raises(ValueError, match="is not below"):
        check_below("loss", float("nan"), 1.5)


def test_the_text_is_portuguese_of_the_size_and_seed_asked_for():
    text = corpus(30_000)
    assert 30_000 <= len(text.encode()) < 33_000 and " é " in text
    assert text == corpus(30_000) and text != corpus(30_000, seed=2)
    lines = sentences(30_000)
    assert len(lines) > 200 and all(line[-1] in ".!?" and "\n" not in line for line in lines)
    assert all(line in text for line in lines)


def test_text_may_be_about_some_subjects_only():
    text = corpus(20_000, subjects=["countries", "elements"])
    assert "capital" in text and "tabela periódica" in text and "planeta" not in text
    assert sentences(20_000, subjects=["elements"]) != sentences(20_000, subjects=["countries"])
    with pytest.raises(KgptError, match="Received: cities"):
        corpus(20_000, subjects=["cities", "countries"])


def test_parts_of_a_lesson_are_its_tagged_cells(tmp_path, monkeypatch):
    package = tmp_path / "kgpt"
    (tmp_path / "notebooks" / "source").mkdir(parents=True)
    source = tmp_path / "notebooks" / "source" / "91_parts.py"
    source.write_text(
        '# %% [raw]\n# pt: x\n\n# %% tags=["part"]\nimport math\n\n\n# %% tags=["part"]\n'
        "def half(value):\n    return math.floor(value / 2)\n\n\n# %%\nother = 1\n",
        encoding="utf-8",
    )
    (source.parent / "92_none.py").write_text("# %%\nother = 1\n", encoding="utf-8")
    monkeypatch.setattr(kgpt, "__file__", str(package / "__init__.py"))
    module = parts("91")
    assert module.half(7) == 3 and not hasattr(module, "other") and parts("91") is module
    with pytest.raises(KgptError, match="No cell of 92_none.py"):
        parts("92")
    with pytest.raises(KgptError, match="source is missing"):
        parts("93")
    sys.modules.pop("kgpt_lesson_91")


def test_pictures_are_drawn_and_nothing_heavy_is_loaded_before_they_are():
    code = """
import sys
import kgpt.learning as learning
print(sorted({"numpy", "matplotlib", "keras", "tensorflow", "IPython"} & set(sys.modules)))
drawing, (a, b, c, d) = learning.figure(9, 3, columns=4)
learning.bars(a, ["um", "dois"], [0.1, 0.2], highlighted=[1])
learning.heatmap(b, [[0.0, -1.0], [float("nan"), 0.5]], ["x", "y"], ["casa", "mar"], digits=1, centred=True)
learning.token_boxes(c, ["O", " rio", " nasce", "\\n"], [5, 17, 300, 1], line=12)
points = [(0, 1), (2, 3), (2, 3.1)]
learning.named_points(d, points, ["gato", "rio", "mar"], [0, 1, 1], kinds=["a", "b"], hollow=[0, 0, 1])
print([bar.get_facecolor() == a.patches[1].get_facecolor() for bar in a.patches])
print([text.get_text() for text in b.texts], [text.get_text() for text in c.texts])
print([text.get_text() for text in d.texts], d.get_legend_handles_labels()[1])
boxes = [text.get_window_extent() for text in d.texts]
print([bool(one.overlaps(other)) for one, other in zip(boxes, boxes[1:])])
print([list(map(int, 255 * point.get_facecolor()[0])) for point in d.collections[-2:]])
learning.show(drawing)
print(b.get_xticklabels()[0].get_text(), a.get_xticklabels()[-1].get_text()[:2])
from matplotlib import pyplot
print(pyplot.get_fignums())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "KGPT_LEARN_LANGUAGE": "pt"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "[]",
        "[False, True]",
        "['0,0', '-1,0', '', '0,5'] ['O', '5', '·rio', '17', '·nasce', '300', '↵', '1']",
        "['gato', 'rio', 'mar'] ['a', 'b']",
        "[False, False]",
        "[[230, 159, 0, 255], [255, 255, 255, 255]]",
        "casa 0,",
        "[]",
    ]


def test_a_picture_without_names_has_numbers_along_its_edges(monkeypatch: pytest.MonkeyPatch):
    from kgpt.learning import figure, heatmap, show

    drawing, axes = figure(3, 3)
    heatmap(axes, np.ones((4, 4)))
    show(drawing)
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert {"0", "1", "2", "3"} <= set(labels) and not any("." in label for label in labels)

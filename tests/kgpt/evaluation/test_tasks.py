"""Rows of the data sets as their authors and the Hub have them; files of every kind; what is broken is named."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgpt.errors import KgptError
from kgpt.evaluation.questions import Question
from kgpt.evaluation.task_files import read_questions
from kgpt.evaluation.tasks import TASKS, FieldError

HELLASWAG = {
    "ind": 4,
    "activity_label": "Removing ice from car",
    "ctx_a": "Then, the man writes over the snow.  ",
    "ctx_b": "then",
    "ctx": "Then, the man writes over the snow. then",
    "endings": [", the man adds wax. [title] Now [step] done.", "[header] he sits"],
    "label": "1",
}
ENEM = {
    "question": "Qual é a capital?",
    "choices": {"text": ["Rio", "Brasília"], "label": ["A", "B"]},
    "answerKey": "B",
    "nullified": None,
}


@pytest.mark.parametrize(
    ("task", "row", "expected"),
    [
        (
            "lambada",
            {"text": 'He said "no.\n\nMaybe yes'},
            Question('He said "no.\n\nMaybe', ("yes",)),
        ),
        (
            "blimp",
            {"sentence_good": "Cats sleep.", "sentence_bad": "Cats sleeps.", "UID": "agreement"},
            Question("", ("Cats sleep.", "Cats sleeps."), subset="agreement"),
        ),
        (
            "hellaswag",
            HELLASWAG,
            Question(
                "Removing ice from car: Then, the man writes over the snow.  Then",
                (", the man adds wax.. Now done.", " he sits"),
                1,
            ),
        ),
        (
            "piqa",
            {"goal": "Open a jar", "sol1": "twist", "sol2": "sing", "label": 0},
            Question("Question: Open a jar\nAnswer:", ("twist", "sing")),
        ),
        (
            "arc-easy",
            {
                "question": "What melts?",
                "choices": {"text": ["ice", "fire", "air"], "label": ["1", "2", "3"]},
                "answerKey": "3",
            },
            Question("Question: What melts?\nAnswer:", ("ice", "fire", "air"), 2),
        ),
        (
            "arc-challenge",
            {
                "question": {
                    "stem": "What melts?",
                    "choices": [{"text": "ice", "label": "A"}, {"text": "fire", "label": "B"}],
                },
                "answerKey": "B",
            },
            Question("Question: What melts?\nAnswer:", ("ice", "fire"), 1),
        ),
        ("enem", ENEM, Question("Pergunta: Qual é a capital?\nResposta:", ("Rio", "Brasília"), 1)),
        (
            "enem",
            {
                "question": "[[placeholder]]\nO que se vê?",
                "description": ["Um mapa."],
                "alternatives": ["mar", "sol"],
                "label": "A",
            },
            Question("Pergunta: Um mapa.\nO que se vê?\nResposta:", ("mar", "sol")),
        ),
        (
            "calame-pt",
            {"sentence": "O gato bebe ", "last_word": "leite"},
            Question("O gato bebe", ("leite",)),
        ),
        (
            "choices",
            {"context": "", "choices": ["a", "b"], "answer": 1},
            Question("", ("a", "b"), 1),
        ),
        (
            "choices",
            {"context": "É", "choices": ["3", "1"], "answer": "1", "subset": "s"},
            Question("É", ("3", "1"), 1, "s"),
        ),
    ],
)
def test_rows(task, row, expected):
    assert TASKS[task].parse(row) == expected


@pytest.mark.parametrize(
    "row", [{**ENEM, "nullified": True}, {**ENEM, "alternatives": ["a", "b"], "label": "Anulado"}]
)
def test_annulled_questions_are_left_out(row):
    assert TASKS["enem"].parse(row) is None


@pytest.mark.parametrize(
    ("task", "row", "words"),
    [
        (
            "lambada",
            {"txt": "a b"},
            "field 'text' must be a text that is not empty, and there is none; there are: txt",
        ),
        ("lambada", {"text": "word"}, "words parted by spaces"),
        ("blimp", {"sentence_good": "a", "sentence_bad": " "}, "'sentence_bad'"),
        (
            "piqa",
            {"goal": "g", "sol1": "a", "sol2": "b", "label": 2},
            "a number from 0 to 1, received '2'",
        ),
        ("piqa", {"goal": "g", "sol1": "a", "sol2": "b"}, "'label'"),
        ("hellaswag", {**HELLASWAG, "endings": ["a", ""]}, "text 1 of 'endings' must not be empty"),
        ("hellaswag", {**HELLASWAG, "label": ""}, "a number from 0 to 1"),
        ("arc-easy", {"question": "q", "choices": ["a"], "answerKey": "A"}, "'text' and 'label'"),
        ("enem", {**ENEM, "answerKey": "C"}, "one of A, B"),
        ("choices", {"choices": ["a", "b"], "answer": 0}, "'context'"),
        ("choices", {"context": "", "choices": ["a"], "answer": 0}, "a list of 2 texts or more"),
        ("choices", {"context": "", "choices": "ab", "answer": 0}, "a list of 2 texts or more"),
        ("choices", {"context": "", "choices": ["a", "b"], "answer": "c"}, "a number from 0 to 1"),
        ("choices", {"context": "", "choices": ["a", "b"], "answer": True}, "a number from 0 to 1"),
        ("choices", {"context": "", "choices": ["a", "b"], "answer": -1}, "a number from 0 to 1"),
    ],
)
def test_what_a_row_lacks_is_named(task, row, words):
    with pytest.raises(FieldError, match=words.replace("(", r"\(")):
        TASKS[task].parse(row)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = (
    "text context choices answer subset sentence_good sentence_bad UID activity_label ctx_a ctx_b endings label goal"
    " sol1 sol2 question answerKey nullified alternatives description sentence last_word"
).split()


@given(st.sampled_from(sorted(TASKS)), st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_any_row_is_a_question_or_an_error(task, row):
    try:
        question = TASKS[task].parse(row)
    except FieldError:
        return
    assert question is None or (
        0 <= question.answer < len(question.choices) and all(question.choices)
    )


# === Files ===

ROWS = [
    {"context": f"{number} +", "choices": ["1", "2"], "answer": number % 2} for number in range(3)
]


def lines(rows: list[dict]) -> str:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n"


def test_files_of_every_kind_have_the_same_questions(tmp_path: Path):
    from pyarrow import Table, parquet

    (tmp_path / "a.jsonl").write_text("\ufeff" + lines(ROWS).replace("\n", "\n\n"))
    (tmp_path / "a.json").write_text(json.dumps(ROWS))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines(ROWS).encode()))
    parquet.write_table(Table.from_pylist(ROWS), tmp_path / "a.parquet")
    expected = [TASKS["choices"].parse(row) for row in ROWS]
    for name in ("a.jsonl", "a.json", "a.jsonl.gz", "a.parquet"):
        assert read_questions("choices", str(tmp_path / name)) == expected
    assert read_questions("choices", str(tmp_path / "a.json"), limit=2) == expected[:2]


def pair(number: int) -> dict:
    return {"sentence_good": f"good {number}", "sentence_bad": f"bad {number}"}


def test_files_of_a_folder_and_of_a_zip_file_are_subsets(tmp_path: Path):
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / f"{name}.jsonl").write_text(lines([pair(0), pair(1), pair(2)]))
    (folder / ".hidden.jsonl").write_text("no JSON")
    with zipfile.ZipFile(tmp_path / "blimp.zip", "w") as archive:
        for name in ("two", "one"):
            archive.write(folder / f"{name}.jsonl", f"data/{name}.jsonl")
        archive.writestr("__MACOSX/data/._one.jsonl", b"\0")
        archive.writestr("data/.DS_Store", b"\0")
    for source in (folder, tmp_path / "blimp.zip"):
        found = read_questions("blimp", str(source))
        assert [item.subset for item in found] == ["one"] * 3 + ["two"] * 3
        assert len(read_questions("blimp", str(source), limit=2)) == 4


def test_the_limit_is_of_each_subset_of_one_file(tmp_path: Path):
    rows = [{**row, "subset": name} for name in "xy" for row in ROWS]
    (tmp_path / "a.jsonl").write_text(lines(rows))
    found = read_questions("choices", str(tmp_path / "a.jsonl"), limit=1)
    assert [item.subset for item in found] == ["x", "y"]


def test_labels_beside_the_rows(tmp_path: Path):
    rows = [{"goal": "g", "sol1": "a", "sol2": "b"}] * 2
    (tmp_path / "valid.jsonl").write_text(lines(rows))
    with pytest.raises(KgptError, match="'label'"):
        read_questions("piqa", str(tmp_path / "valid.jsonl"))
    (tmp_path / "valid-labels.lst").write_text("1\n0\n")
    assert [item.answer for item in read_questions("piqa", str(tmp_path / "valid.jsonl"))] == [1, 0]


CARD = """---
configs:
- config_name: one
  data_files: [{split: train, path: one.jsonl}]
- config_name: two
  data_files: [{split: train, path: two.jsonl}]
---
"""


def test_data_sets_of_the_hub(tmp_path: Path, monkeypatch):
    pytest.importorskip("datasets")
    import dataclasses

    (tmp_path / "README.md").write_text(CARD)
    (tmp_path / "one.jsonl").write_text(lines([pair(0), pair(1)]))
    (tmp_path / "two.jsonl").write_text(lines([pair(2)]))
    found = read_questions("blimp", f"hf:{tmp_path}:two:train")
    assert [item.choices[0] for item in found] == ["good 2"]
    every = dataclasses.replace(TASKS["blimp"], hub=f"hf:{tmp_path}:*:train")
    monkeypatch.setitem(TASKS, "blimp", every)
    found = read_questions("blimp", None)
    assert [(item.subset, item.choices[0]) for item in found] == [
        ("one", "good 0"), ("one", "good 1"), ("two", "good 2"),
    ]  # fmt: skip
    with pytest.raises(KgptError, match="row 1: field 'text'"):
        read_questions("lambada", f"hf:{tmp_path}:one:train")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "a.jsonl",
            lines(ROWS) + '{"context": "x", \n',
            'line 4: Expecting property name.*: {"context": "x",',
        ),
        ("a.jsonl", lines(ROWS) + "[1]\n", r"line 4: no JSON object: \[1\]"),
        ("a.jsonl", lines(ROWS) + "[" * 100_000, "line 4: "),
        ("a.jsonl", lines([*ROWS, {"context": "x"}]), "line 4: field 'choices'"),
        ("a.jsonl", "\n", "There is no question"),
        ("a.json", '[{"context": 1}', "a.json"),
        ("a.json", "[1]", "row 1: expected an object, received '1'"),
        ("a.parquet", "PAR0", "no Parquet file"),
        ("a.zip", "PK", "a.zip"),
        ("a.txt", "x", "no JSON lines, JSON or Parquet"),
        ("a.csv", "x", "no JSON lines, JSON or Parquet"),
        ("a.exe", "x", "Expected a file that ends in"),
    ],
)
def test_broken_files(tmp_path: Path, name, content, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(KgptError, match=words) as caught:
        read_questions("choices", str(tmp_path / name))
    assert str(caught.value).count("\n") == 2


@pytest.mark.parametrize("name", ["nowhere.jsonl", "nowhere.zip", "nowhere"])
def test_no_file(tmp_path: Path, name):
    with pytest.raises(KgptError, match="nowhere"):
        read_questions("choices", str(tmp_path / name))


def test_a_task_without_a_home_needs_a_file():
    with pytest.raises(KgptError, match="--task choices needs --file"):
        read_questions("choices", None)

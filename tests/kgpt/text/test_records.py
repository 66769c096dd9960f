from __future__ import annotations

import csv
import gzip
import json
import lzma

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from kgpt.errors import KgptError
from kgpt.text.records import read_records

ROWS = [
    {"label": "ham", "text": "Olá, avó!"},
    {"label": "spam", "text": 'He said "free", twice'},
    {"label": "ham", "text": "semicolons; and, commas"},
]


def write(path, rows=ROWS):
    """Rows in the format that the file's name asks for."""
    if path.suffix in (".csv", ".tsv"):
        with open(path, "w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(rows[0]), delimiter="\t,"[path.suffix == ".csv"])
            table.writeheader()
            table.writerows(rows)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    else:
        parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl", "a.json", "a.parquet"])
def test_every_format_gives_the_same_rows(tmp_path, name):
    found = read_records(write(tmp_path / name), {"label", "text"})
    assert [record.fields for record in found] == ROWS
    assert all(record.place.startswith(str(tmp_path / name)) for record in found)


def test_a_json_file_may_hold_rows_with_lists_in_them(tmp_path):
    rows = [{"messages": [{"role": "user", "content": "Oi"}]}, {"messages": []}]
    for name in ("a.json", "a.jsonl", "a.parquet"):
        found = read_records(write(tmp_path / name, rows), {"messages"})
        assert [record.fields for record in found] == rows


@pytest.mark.parametrize(("ending", "opened"), [("gz", gzip.open), ("xz", lzma.open)])
def test_compressed_files_are_read(tmp_path, ending, opened):
    with opened(tmp_path / f"a.jsonl.{ending}", "wt", encoding="utf-8") as file:
        file.write('{"label": "a", "text": "b"}\n')
    (record,) = read_records(tmp_path / f"a.jsonl.{ending}", {"text"})
    assert record.fields == {"label": "a", "text": "b"}


def test_a_file_without_ending_is_a_table_if_its_lines_have_tabs(tmp_path):
    file = tmp_path / "SMSSpamCollection"
    file.write_text('ham\t"Quoted" at the beginning\nspam\tAn "open quote\n', encoding="utf-8")
    found = read_records(file, {"label", "text"})
    assert [record.fields["2"] for record in found] == [
        '"Quoted" at the beginning',
        'An "open quote',
    ]
    assert [record.place for record in found] == [f"{file}:1", f"{file}:2"]


def test_a_tsv_whose_rows_need_quotes_is_read_with_them(tmp_path):
    file = tmp_path / "a.tsv"
    file.write_text('label\ttext\nham\t"two\nlines"\nspam\tone\n', encoding="utf-8")
    found = read_records(file, {"label", "text"})
    assert [record.fields["text"] for record in found] == ["two\nlines", "one"]


@given(
    st.lists(
        st.tuples(st.text(), st.text()).map(lambda pair: {"label": pair[0], "text": "x" + pair[1]}),
        min_size=1,
        max_size=5,
    )
)
def test_json_lines_of_any_text_come_back(tmp_path_factory, rows):
    file = write(tmp_path_factory.mktemp("any") / "a.jsonl", rows)
    assert [record.fields for record in read_records(file, {"label", "text"})] == rows


@pytest.mark.parametrize(
    ("name", "content", "place", "quote"),
    [
        ("a.tsv", "ham\tone\nonly this line\nspam\ttwo\n", ":2", "only this line"),
        ("a.csv", "label,text\nham,one\nspam,two,three\n", ":3", "three"),
        ("a.jsonl", '{"label": "a", "text": "b"}\n{"label": oops}\n', ":2", "oops"),
        ("a.jsonl", '{"label": "a", "text": "b"}\n[1]\n', ":2", "[1]"),
    ],
)
def test_a_broken_row_is_named_by_line_and_text_or_skipped(tmp_path, name, content, place, quote):
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    with pytest.raises(KgptError) as caught:
        read_records(file, {"label", "text"})
    assert f"{file}{place}" in caught.value.message
    assert quote in caught.value.message
    assert "--on-error skip" in caught.value.hint
    skipped: list[tuple[str, str]] = []
    kept = read_records(
        file, {"label", "text"}, "skip", lambda reason, text: skipped.append((reason, text))
    )
    assert len(skipped) == 1
    assert [list(record.fields.values())[0] for record in kept] == (
        ["ham", "spam"] if name == "a.tsv" else [kept[0].fields["label"]]
    )


def test_what_is_no_file_of_rows_is_refused(tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "plain.txt").write_text("no tabs here\n")
    for name, title in (
        ("missing.csv", "File not found"),
        (".", "File not found"),
        ("empty.jsonl", "Empty file"),
        ("plain.txt", "No rows"),
    ):
        with pytest.raises(KgptError) as caught:
            read_records(tmp_path / name, {"text"})
        assert caught.value.title == title

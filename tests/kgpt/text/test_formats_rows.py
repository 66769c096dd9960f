"""Files of rows: JSON lines, JSON, CSV, TSV and Parquet."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from kgpt.errors import KgptError
from kgpt.text import documents
from kgpt.text.formats import compression
from tests.kgpt.text.read_files import COMPRESSORS, read, read_skipping


def said_of(path: Path, **options: Any) -> tuple[list[str], list[str]]:
    """The documents of a damaged file, and what was said of the damage."""
    texts, skipped = read_skipping(path, **options)
    return texts, [message for _, message in skipped]


# === Round trips ===


def _json_lines(path: Path, texts: Sequence[str]) -> None:
    path.write_text("".join(json.dumps({"n": 1, "text": text}) + "\n" for text in texts))


def _json_lines_unescaped(path: Path, texts: Sequence[str]) -> None:
    rows = (json.dumps({"text": text, "n": [1]}, ensure_ascii=False) for text in texts)
    path.write_bytes("\r\n".join(rows).encode())


def _json_array(path: Path, texts: Sequence[str]) -> None:
    path.write_text(json.dumps([{"text": text, "n": 1.5} for text in texts], indent=1))


def _json_object(path: Path, texts: Sequence[str]) -> None:
    path.write_text(json.dumps({"version": 1, "data": [{"text": text} for text in texts]}))


def _separated(path: Path, texts: Sequence[str]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writerows([["id", "text"], *enumerate(texts)])


def _parquet(path: Path, texts: Sequence[str]) -> None:
    table = pyarrow.table({"id": range(len(texts)), "text": list(texts)})
    parquet.write_table(table, path, row_group_size=3)


WRITERS: list[tuple[str, Callable[[Path, Sequence[str]], None]]] = [
    (".jsonl", _json_lines),
    (".jsonl", _json_lines_unescaped),
    (".json", _json_lines),
    (".json", _json_array),
    (".json", _json_object),
    (".csv", _separated),
    (".tsv", _separated),
    (".parquet", _parquet),
]
CHARACTERS = st.one_of(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    st.sampled_from("\"',;\t|\n\r \\\u2028\x85\x1c{}[]é😀\ufeff"),
)
TEXTS = st.lists(st.text(CHARACTERS, min_size=1, max_size=30), min_size=1, max_size=8)


@pytest.mark.parametrize(("suffix", "write"), WRITERS)
@settings(max_examples=60, deadline=None)
@given(texts=TEXTS, block=st.integers(5, 60), compressor=st.sampled_from(["", *COMPRESSORS]))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    suffix: str,
    write: Callable[[Path, Sequence[str]], None],
    texts: list[str],
    block: int,
    compressor: str,
) -> None:
    path = tmp_path_factory.getbasetemp() / f"rows{suffix}"
    write(path, texts)
    if compressor and suffix != ".parquet":
        content = path.read_bytes()
        path = path.with_name(path.name + compressor)
        path.write_bytes(COMPRESSORS[compressor](content))
    expected = [text.replace("\r\n", "\n") for text in texts if text.strip()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compression, "BLOCK", block)
        patch.setattr(documents, "PIECE_CHARACTERS", 8)
        patch.setattr(documents, "SLACK", 4)
        # A file of blank texts is empty, which is an error unless it is skipped.
        found = read(path) if expected else said_of(path)[0]
    assert found == expected


# === Which field ===


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"id": 1, "content": "a", "title": "b"}, "a"),
        ({"Text": "a", "body": "b"}, "a"),
        ({"id": "7", "story": "a", "n": 3}, "a"),
        ({"instruction": "do", "input": "", "output": "done "}, "do\n\ndone"),
        ({"instruction": "do", "input": "this", "output": "done"}, "do\n\nthis\n\ndone"),
        ({"pergunta": "quem?", "resposta": "eu"}, "quem?\n\neu"),
        ({"question": "q", "answer": "a", "id": "x"}, "q\n\na"),
        ({"prompt": "p", "completion": "c"}, "p\n\nc"),
        ({"prompt": "p", "response": "r"}, "p\n\nr"),
        (
            {"id": "1", "title": "t", "context": "c", "question": "q", "answers": {"text": ["a"]}},
            "c\n\nq\n\na",
        ),
        (
            {"messages": [{"role": "user", "content": "oi"}, {"role": "b", "content": "olá"}]},
            "oi\n\nolá",
        ),
        ({"messages": [{"role": "u", "content": [{"type": "text", "text": "oi"}]}]}, "oi"),
        ({"conversations": [{"from": "human", "value": "oi"}, {"value": "olá"}]}, "oi\n\nolá"),
        ("a string", "a string"),
    ],
)
def test_the_usual_shapes(tmp_path: Path, row: Any, text: str) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    (tmp_path / "a.json").write_text(json.dumps([row, row]))
    assert read(tmp_path / "a.jsonl") == [text]
    assert read(tmp_path / "a.json") == [text, text]
    if isinstance(row, dict):
        parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "a.parquet")
        assert read(tmp_path / "a.parquet") == [text]
    if isinstance(row, dict) and not any(isinstance(value, (list, dict)) for value in row.values()):
        with open(tmp_path / "a.csv", "w", newline="") as file:
            csv.writer(file).writerows([row.keys(), row.values()])
        assert read(tmp_path / "a.csv") == [text]


def test_squad(tmp_path: Path) -> None:
    questions = [
        {"question": "q1", "answers": [{"text": "a1", "answer_start": 0}, {"text": "no"}]},
        {"question": "none", "answers": []},
        {"question": "q2", "answers": [{"text": "a2"}]},
    ]
    article = {"title": "t", "paragraphs": [{"context": "c", "qas": questions}, {"context": "d"}]}
    (tmp_path / "a.json").write_text(json.dumps({"version": "1", "data": [article]}))
    assert read(tmp_path / "a.json") == ["c\n\nq1\n\na1\n\nq2\n\na2\n\nd"]


def test_a_named_field_is_taken(tmp_path: Path) -> None:
    rows = [{"text": "a", "summary": "b"}]
    (tmp_path / "a.jsonl").write_text(json.dumps(rows[0]))
    (tmp_path / "a.json").write_text(json.dumps(rows))
    (tmp_path / "a.csv").write_text("text,summary\na,b\n")
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.json", "a.csv", "a.parquet"):
        assert read(tmp_path / name) == ["a"]
        assert read(tmp_path / name, text_field="summary") == ["b"]
        with pytest.raises(KgptError, match=r"no (field|column) 'x'; there are: text.*, summary"):
            read(tmp_path / name, text_field="x")


def test_a_field_that_is_not_clear_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"um": "a", "dois": "b"}')
    (tmp_path / "a.csv").write_text("um,dois\na,b\n")
    table = pyarrow.table({"um": ["a"], "dois": ["b"], "n": [1]})
    parquet.write_table(table, tmp_path / "a.parquet")
    parquet.write_table(table.select(["n"]), tmp_path / "b.parquet")
    for name in ("a.jsonl", "a.csv", "a.parquet"):
        with pytest.raises(KgptError, match="not clear which .*: um.*, dois") as caught:
            read(tmp_path / name)
        assert "--text-field" in caught.value.hint
    with pytest.raises(KgptError, match=r"no column holds text; there are: n \(int64\)"):
        read(tmp_path / "b.parquet")
    with pytest.raises(KgptError, match=r"column 'n' holds no text; there are: n \(int64\)"):
        read(tmp_path / "b.parquet", text_field="n")


def test_the_first_row_decides_on_the_field(tmp_path: Path) -> None:
    rows = ['{"text": "a", "title": "t"}', '{"title": "t"}', '{"text": 5}', '{"text": null}', "[1]"]
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    texts, said = said_of(tmp_path / "a.jsonl")
    assert texts == ["a"]
    assert said == [
        "F:2: there is no field 'text'; there are: title.",
        "F:3: the field 'text' holds a number and no text.",
        "F:4: the row has no text.",
        "F:5: expected an object with fields, received a list.",
    ]


def test_numbers_are_no_text_in_a_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('n;"resenha";nota\n1;"bom; muito";4,5\n2;mau;1\n')
    assert read(tmp_path / "a.csv") == ["bom; muito", "mau"]


# === Damage ===


def test_lines_that_do_not_parse(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = ['{"text": "a"}', "", '{"text": "b"', '{"text": "c"} x', '{"text": "d"}', "[" * 99999]
    path.write_bytes("\n".join(lines).encode() + b'\n{"text": "\xe7"}\n{"text": "\\u0000"}')
    with pytest.raises(KgptError, match=r"a\.jsonl:3: column 13: expecting ',' delimiter"):
        read(path)
    texts, said = said_of(path)
    assert texts == ["a", "d"]
    assert said == [
        "F:3: column 13: expecting ',' delimiter: '{\"text\": \"b\"'.",
        'F:4: column 14: extra data: \'{"text": "c"} x\'.',
        f"F:6: nested too deeply: '{'[' * 59}…'.",
        "F:7: has the byte 0xE7, which is not UTF-8 there.",
        "F:8: the text has a NUL character.",
    ]
    assert said_of(path, mend_encoding=True, allow_nul=True)[0] == ["a", "d", "ç", "\0"]


def test_halves_of_surrogate_pairs_become_replacement_characters(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a\\ud83d\\ude00 \\uD83D"}')
    (tmp_path / "a.json").write_text('{"text": "a\\ud83d\\ude00 \\uD83D"}')
    for name in ("a.jsonl", "a.json"):
        assert read(tmp_path / name) == ["a😀 \ufffd"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"text": "a"},\n {"text" "b"}]', "2: column 10: expecting ':' delimiter"),
        ('[{"text": "a"}\n {"text": "b"}]', "2: column 2: expecting ',' or ']'"),
        ('[{"text": "a"},\n {"text": "b', "2: column 11: unterminated string"),
        (
            '[{"text": "a"},\n {"text": "b"}',
            "2: column 15: the file ends here; expecting ',' or ']'",
        ),
        ('[{"text": "a"}]\n}', "2: column 1: expecting value"),
        ('{"data": [{"text": "a"}], 5: 6}', "1: column 27: expecting a field's name"),
    ],
)
def test_json_that_does_not_parse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, message: str
) -> None:
    (tmp_path / "a.json").write_text(content)
    for block in (1 << 20, 4):
        monkeypatch.setattr(compression, "BLOCK", block)
        with pytest.raises(KgptError) as caught:
            read(tmp_path / "a.json")
        assert caught.value.message.startswith(f"{tmp_path / 'a.json'}:{message}")
        assert said_of(tmp_path / "a.json")[0][0] == "a"


def test_broken_rows_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'id,text\n1,a\n2,b,c\n3,"d"e\n4,"f\ng"\n5,\xe7\n6,h\n7,"i\n8,j\n')
    with pytest.raises(KgptError, match=r"a\.csv:3: expected 2 fields, as the header has, rec.* 3"):
        read(path)
    texts, said = said_of(path)
    assert texts == ["a", "f\ng", "h"]
    assert said == [
        "F:3: expected 2 fields, as the header has, received 3: '2 b c'.",
        "F:4: ',' expected after '\"'.",
        "F:9: unexpected end of data (read up to line 10).",
        "F:7: has the byte 0xE7, which is not UTF-8 there.",
    ]


def test_fields_of_any_length(tmp_path: Path) -> None:
    long = "palavra " * 40_000
    (tmp_path / "a.csv").write_text(f'id,text\n1,"{long}"\n')
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": long * 20}))
    assert read(tmp_path / "a.csv") == [long]
    assert read(tmp_path / "a.jsonl") == [long * 20]


def test_damaged_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": ["a", "b"] * 50}), path)
    whole = path.read_bytes()
    for content in (whole[:-10], b"", b"text", whole[:4] + b"\xff" * 60 + whole[64:]):
        path.write_bytes(content)
        with pytest.raises(KgptError, match=r"a\.parquet: no Parquet file, or cut or damaged"):
            read(path)
        texts, said = said_of(path)
        assert not texts and "no Parquet file" in said[0]


def test_strings_in_parquet_that_are_not_utf8(tmp_path: Path) -> None:
    column = pyarrow.array([b"a", b"\xe7", b"b"]).view(pyarrow.string())
    parquet.write_table(pyarrow.table({"text": column}), tmp_path / "a.parquet")
    with pytest.raises(KgptError, match="row 2: has the byte 0xE7"):
        read(tmp_path / "a.parquet")
    assert said_of(tmp_path / "a.parquet")[0] == ["a", "b"]
    assert read(tmp_path / "a.parquet", mend_encoding=True) == ["a", "ç", "b"]


BOUNDED = """
import resource, sys
from kgpt.text.sources import ReadOptions, expand_sources, read_source
resource.setrlimit(resource.RLIMIT_DATA, (120 << 20, 120 << 20))
print(sum(1 for piece in read_source(expand_sources([sys.argv[1]])[0], ReadOptions())))
"""


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv"])
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, suffix: str) -> None:
    row = "palavra " * 1000
    start, one, end = {
        ".jsonl": ("", f'{{"text": "{row}"}}\n', ""),
        ".json": ("[", f'{{"text": "{row}"}},', '{"text": "fim"}]'),
        ".csv": ("id,text\n", f"1,{row}\n", ""),
    }[suffix]
    path = tmp_path / f"large{suffix}.gz"
    with gzip.open(path, "wt", 1) as file:
        file.write(start)
        for _ in range(120):
            file.write(one * 100)
        file.write(end)
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 12_000 + (suffix == ".json")

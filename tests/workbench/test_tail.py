"""The incremental reader: every row once, whatever the writer does."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from workbench.tail import JsonTail, LineTail, is_number


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def append(path: Path, data: bytes) -> None:
    with open(path, "ab") as file:
        file.write(data)


def rows(tail: JsonTail) -> list[object]:
    return [row["n"] for row in tail.read().rows]


def test_a_missing_file_is_empty_and_may_appear(path: Path) -> None:
    tail = JsonTail(path)
    assert rows(tail) == []
    append(path, b'{"n": 1}\n')
    assert rows(tail) == [1]


def test_each_row_is_read_once(path: Path) -> None:
    tail = JsonTail(path)
    append(path, b'{"n": 1}\n{"n": 2}\n')
    assert rows(tail) == [1, 2]
    assert rows(tail) == []
    append(path, b'{"n": 3}\n')
    assert rows(tail) == [3]


def test_a_half_written_line_waits_for_its_end(path: Path) -> None:
    tail = JsonTail(path)
    text = '{"n": "é"}\n'.encode()
    append(path, text[:8])  # in the middle of the accent
    assert rows(tail) == []
    append(path, text[8:])
    assert rows(tail) == ["é"]
    assert tail.skipped == 0


@pytest.mark.parametrize(
    "garbage",
    [b"not json\n", b"[1]\n", b"\x00\xff\xfe\n", b"3\n", b'{"n":\n', b"[" * 90_000 + b"\n"],
)
def test_garbage_is_skipped_and_counted(path: Path, garbage: bytes) -> None:
    tail = JsonTail(path)
    append(path, b'{"n": 1}\n' + garbage + b'{"n": 2}\n\n')
    assert rows(tail) == [1, 2]
    assert tail.skipped == 1


def test_a_truncated_file_is_read_anew(path: Path) -> None:
    tail = JsonTail(path)
    append(path, b'{"n": 1}\n{"n": 2}\n{"n": 3}\n')
    tail.read()
    os.truncate(path, 9)
    found = tail.read()
    assert found.restarted
    assert [row["n"] for row in found.rows] == [1]


def test_a_file_rewritten_in_place_and_grown_past_the_position_is_noticed(path: Path) -> None:
    tail = JsonTail(path)
    append(path, b'{"n": 1}\n')
    tail.read()
    path.write_bytes(b'{"n": 7}\n{"n": 8}\n')
    found = tail.read()
    assert found.restarted
    assert [row["n"] for row in found.rows] == [7, 8]


def test_a_replaced_file_with_the_same_beginning_goes_on(path: Path, tmp_path: Path) -> None:
    tail = JsonTail(path)
    append(path, b'{"n": 1}\n{"n": 2}\n')
    tail.read()
    aside = tmp_path / "aside"
    aside.write_bytes(b'{"n": 1}\n{"n": 2}\n{"n": 3}\n')
    os.replace(aside, path)
    assert rows(tail) == [3]


def test_a_removed_file_voids_what_was_read(path: Path) -> None:
    tail = JsonTail(path)
    append(path, b'{"n": 1}\n')
    tail.read()
    path.unlink()
    assert tail.read().restarted
    assert not tail.read().restarted


def test_one_read_is_bounded_and_says_that_there_is_more(path: Path) -> None:
    append(path, b"".join(b'{"n": %d}\n' % n for n in range(1000)))
    tail = JsonTail(path, chunk_bytes=256)
    first = tail.read()
    assert first.more and 0 < len(first.rows) < 40
    numbers = [row["n"] for row in first.rows]
    while (found := tail.read()).more:
        numbers += [row["n"] for row in found.rows]
    assert numbers + [row["n"] for row in found.rows] == list(range(1000))


def test_a_line_longer_than_a_read_is_passed_over(path: Path) -> None:
    tail = LineTail(path, chunk_bytes=64)
    append(path, b"a\n" + b"x" * 500 + b"\nb\n")
    lines = []
    while True:
        found = tail.read()
        lines += found.lines
        if not found.more:
            break
    assert lines == [b"a", b"b"]


def test_a_folder_in_place_of_the_file_reads_as_empty(path: Path) -> None:
    path.mkdir()
    assert JsonTail(path).read().rows == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", True),
        ("1.5", True),
        ("true", False),
        ('"1"', False),
        ("null", False),
        ("NaN", False),
        ("Infinity", False),
        ("1" + "0" * 400, False),
    ],
)
def test_is_number(text: str, expected: bool) -> None:
    assert is_number(json.loads(text)) is expected

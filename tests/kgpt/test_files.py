from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from disk import full_disk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgpt.errors import KgptFailure
from kgpt.files import (
    append_json_line,
    disk_failure,
    read_json,
    read_json_lines,
    write_atomically,
    write_json,
)


def test_a_full_disk_keeps_the_old_content_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "status.json"
    write_atomically(path, "old")
    with full_disk(1000), pytest.raises(KgptFailure, match="status.json"):
        write_atomically(path, b"x" * 5000)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["status.json"]


def test_a_full_disk_is_called_one():
    failure = disk_failure(OSError(errno.ENOSPC, "No space left on device"), Path("a/b"))
    assert failure.exit_code == 1
    assert "No space left" in failure.title and "a/b" in failure.message
    assert "untouched" in failure.message and "--resume" in failure.hint


@pytest.mark.parametrize("place", ["missing/status.json", "file/status.json"])
def test_a_place_that_cannot_be_written_is_a_failure(tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(KgptFailure, match="Cannot write"):
        write_atomically(tmp_path / place, "new")
    with pytest.raises(KgptFailure, match="Cannot write"):
        append_json_line(tmp_path / place, {})


def test_a_reader_sees_the_old_content_or_the_new(tmp_path):
    path = tmp_path / "status.json"
    contents = ["a" * 100_000, "b" * 50_000]
    write_atomically(path, contents[0])
    stop = threading.Event()

    def write():
        while not stop.is_set():
            for content in contents:
                write_atomically(path, content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert all(path.read_text() in contents for _ in range(200))
    finally:
        stop.set()
        writer.join()


def test_numbers_that_json_cannot_hold_become_null(tmp_path):
    write_json(tmp_path / "a.json", {"x": float("nan"), "y": [float("inf"), {"z": -float("inf")}]})
    assert read_json(tmp_path / "a.json") == {"x": None, "y": [None, {"z": None}]}
    append_json_line(tmp_path / "a.jsonl", {"train_loss": float("nan"), "text": "ação 🍎"})
    assert list(read_json_lines(tmp_path / "a.jsonl")) == [{"train_loss": None, "text": "ação 🍎"}]


def test_a_half_written_line_costs_only_itself(tmp_path):
    path = tmp_path / "metrics.jsonl"
    append_json_line(path, {"step": 1})
    with open(path, "ab") as file:
        file.write('{"step": 2, "text": "maç'.encode()[:-1])  # inside a character
    assert list(read_json_lines(path)) == [{"step": 1}]
    append_json_line(path, {"step": 3})
    append_json_line(path, {"step": 4})
    assert [row["step"] for row in read_json_lines(path)] == [1, 3, 4]


def test_a_full_disk_costs_only_the_rows_that_did_not_fit(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with full_disk(1000), pytest.raises(KgptFailure):
        for step in range(100):
            append_json_line(path, {"step": step, "text": "x" * 30})
    rows = list(read_json_lines(path))
    assert [row["step"] for row in rows] == list(range(len(rows))) and len(rows) > 10


@given(st.lists(st.binary(max_size=40)), st.integers(0, 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_garbage_between_rows_is_skipped(tmp_path, garbage, place):
    lines = [b'{"row": %d}' % index for index in range(4)]
    lines[place:place] = [line.replace(b"\n", b"").replace(b"\r", b"") for line in garbage]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines) + b"\n" + b"[" * 3000)
    rows = [row["row"] for row in read_json_lines(tmp_path / "a.jsonl") if "row" in row]
    assert rows == [0, 1, 2, 3]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 200_000])
def test_json_that_is_no_object_reads_as_empty(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    assert read_json(tmp_path / "a.json") == {}
    assert read_json(tmp_path / "missing.json") == {} == read_json(tmp_path)

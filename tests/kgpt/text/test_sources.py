from __future__ import annotations

import errno
import hashlib
import os
import pickle
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from kgpt.errors import KgptError, KgptFailure
from kgpt.text.sources import (
    ReadOptions,
    describe_sources,
    expand_sources,
    read_documents,
    read_source,
)

TEXT = "um\ndois\n\n \ntrês\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "b.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "deep" / "a.txt").write_text("quatro", encoding="utf-8")
    (tmp_path / "picture.png").write_text("not read")
    (tmp_path / ".hidden.txt").write_text("not read")
    (tmp_path / ".git" / "index.txt").write_text("not read")
    return tmp_path


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ("file", [TEXT, "quatro"]),
        ("blank-line", ["um\ndois", "três", "quatro"]),
        ("line", ["um", "dois", "três", "quatro"]),
    ],
)
def test_what_a_document_is(folder: Path, documents: str, expected: list[str]) -> None:
    assert list(read_documents([folder], documents)) == expected  # type: ignore[arg-type]


def test_a_file_named_twice_is_read_once(folder: Path) -> None:
    (folder / "link.txt").symlink_to(folder / "b.txt")
    sources = [folder / "b.txt", folder, str(folder / "*.txt"), str(folder / "**" / "a.txt")]
    assert [Path(source.name).name for source in expand_sources(sources)] == ["b.txt", "a.txt"]


def test_sources_keep_the_order_of_paths_and_survive_pickling(tmp_path: Path) -> None:
    for name in ("10.txt", "2.jsonl.gz", "a/1.md", "B.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = expand_sources([tmp_path])
    assert [source.name for source in found] == sorted(
        str(tmp_path / name) for name in ("10.txt", "2.jsonl.gz", "a/1.md", "B.parquet")
    )
    assert expand_sources([tmp_path / "*"]) == found
    assert pickle.loads(pickle.dumps(found)) == found
    assert len({*found}) == 4


def test_what_is_passed_over_is_said(folder: Path) -> None:
    said: list[str] = []
    expand_sources([folder], said.append)
    assert said == [f"Passed over files that are in {folder}: 1 hidden, 1 .png"]


def test_a_folder_that_cannot_be_read_is_not_passed_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "locked").mkdir()
    scandir = os.scandir

    def locked(path: str) -> Any:  # a mode of 0 does not stop root, as whom tests may run
        if os.fspath(path).endswith("locked"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    with pytest.raises(KgptFailure, match="locked: Permission denied"):
        expand_sources([folder])


def test_a_name_that_the_system_refuses() -> None:
    with pytest.raises(KgptFailure, match="Cannot read"):
        expand_sources(["long" * 1000])


def test_byte_order_mark_and_line_ends(tmp_path: Path) -> None:
    (tmp_path / "dos.txt").write_bytes("\ufeffum\r\ndois\rtrês\r\n".encode())
    assert list(read_documents([tmp_path / "dos.txt"])) == ["um\ndois\rtrês\n"]


def test_the_encyclopedia_is_a_source_and_so_is_its_control() -> None:
    texts = {
        (name, seed): "".join(islice(read_documents([name], seed=seed), 50))
        for name, seed in (("encyclopedia", 1), ("encyclopedia", 2), ("encyclopedia:shuffled", 1))
    }
    assert len(set(texts.values())) == 3


@pytest.mark.parametrize("content", [b"", b" \n\n"])
def test_files_without_text(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.txt").write_bytes(content)
    with pytest.raises(KgptError, match="no text in"):
        list(read_documents([tmp_path / "bad.txt"]))
    (source,) = expand_sources([tmp_path / "bad.txt"])
    skipped: list[str] = []
    options = ReadOptions(on_error="skip")
    assert not list(read_source(source, options, lambda reason, message: skipped.append(reason)))
    assert skipped == ["Empty source"]


def test_sources_that_are_not_there(folder: Path) -> None:
    (folder / "empty").mkdir()
    for source in ("missing.txt", "missing", "*.none"):
        with pytest.raises(KgptError, match="no file, folder or built-in"):
            list(read_documents([folder / source]))
    with pytest.raises(KgptError, match="No files are in"):
        list(read_documents([folder / "empty"]))
    with pytest.raises(KgptError, match=r"none can be read: 1 \.png"):
        list(read_documents([folder / "*.png"]))
    with pytest.raises(KgptError, match="Expected a file"):
        list(read_documents([]))


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a.png", "rename it to .txt"),
        ("a", "rename it to .txt"),
        ("a.log.gz", "rename it to .txt.gz"),
        ("a.zip", "Unpack it"),
        ("a.tar.gz", "Unpack it"),
        ("a.pdf", "pdftotext"),
        ("a.docx", "pandoc"),
        ("a.parquet.gz", "unpack the file around it"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_to_do(tmp_path: Path, name: str, advice: str) -> None:
    (tmp_path / name).write_text("text")
    with pytest.raises(KgptError, match=rf"\.jsonl .*Received: .*{name}") as caught:
        expand_sources([tmp_path / name])
    assert advice in caught.value.hint


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(KgptError, match="device or pipe"):
        expand_sources([tmp_path / "pipe.txt"])


def test_a_file_that_has_gone(folder: Path) -> None:
    (source,) = expand_sources([folder / "b.txt"])
    (folder / "b.txt").unlink()
    with pytest.raises(KgptFailure, match=r"b\.txt: No such file"):
        list(read_source(source))
    with pytest.raises(KgptFailure, match=r"b\.txt: No such file"):
        describe_sources([source])


def test_a_description_says_size_time_and_content(folder: Path) -> None:
    file, built_in = describe_sources(expand_sources([folder / "b.txt", "encyclopedia"]))
    assert file == {
        "source": str(folder / "b.txt"),
        "bytes": len(TEXT.encode()),
        "modified": (folder / "b.txt").stat().st_mtime_ns,
        "sha256": hashlib.sha256(TEXT.encode()).hexdigest(),
    }
    assert built_in["modified"] == 0 and built_in["bytes"] > 10_000
    (folder / "b.txt").write_text("other")
    assert describe_sources(expand_sources([folder / "b.txt"]))[0]["sha256"] != file["sha256"]


def test_an_unchanged_file_is_not_read_again(folder: Path) -> None:
    sources = expand_sources([folder / "b.txt"])
    (known,) = describe_sources(sources)
    known["sha256"] = "lent"
    assert describe_sources(sources, [known])[0]["sha256"] == "lent"
    os.utime(folder / "b.txt", ns=(1, 1))
    assert describe_sources(sources, [known])[0]["sha256"] != "lent"


SCRIPT = """
import sys
from kgpt.text.sources import describe_sources, expand_sources, read_documents
name = sys.argv[1]
first, again = list(read_documents([name])), list(read_documents([name]))
(described,) = describe_sources(expand_sources([name]))
print(ascii((first == again, first, described["sha256"], described["source"])))
print(expand_sources([name])[0].path)
"""


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [("-", "olá\n", ["olá\n"]), ("-.jsonl", '{"text": "a"}\n{"text": "b"}', ["a", "b"])],
)
def test_standard_input_is_read_as_often_as_needed(
    name: str, given: str, expected: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, name], input=given.encode(), capture_output=True, check=True
    )
    result, path = done.stdout.decode().splitlines()
    sha256 = hashlib.sha256(given.encode()).hexdigest()
    assert result == ascii((True, expected, sha256, name))
    assert not Path(path).exists()


def test_standard_input_of_an_unknown_format() -> None:
    with pytest.raises(KgptError, match="known format after -"):
        expand_sources(["-.pdf"])

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from kgpt.errors import KgptError
from kgpt.text.sources import describe_sources, expand_sources, read_documents

TEXT = "um\ndois\n\n \ntrês\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "deep" / "a.txt").write_text("quatro", encoding="utf-8")
    (tmp_path / "notes.md").write_text("not read")
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
    sources = [folder / "b.txt", folder, str(folder / "*.txt"), str(folder / "**" / "a.txt")]
    assert [path.name for path in map(Path, expand_sources(sources))] == ["b.txt", "a.txt"]


def test_byte_order_mark_and_line_ends(tmp_path: Path) -> None:
    (tmp_path / "dos.txt").write_bytes("\ufeffum\r\ndois\rtrês\r\n".encode())
    assert list(read_documents([tmp_path / "dos.txt"])) == ["um\ndois\rtrês\n"]


def test_the_encyclopedia_is_a_source_and_so_is_its_control() -> None:
    texts = {
        (name, seed): "".join(islice(read_documents([name], seed=seed), 50))
        for name, seed in (("encyclopedia", 1), ("encyclopedia", 2), ("encyclopedia:shuffled", 1))
    }
    assert len(set(texts.values())) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("ação".encode("cp1252"), r"byte 1 \(line 1\) is 0xE7"),
        ("a\n“b”".encode("cp1252"), r"byte 2 \(line 2\) is 0x93.*WINDOWS-1252"),
        ("ação".encode("utf-16"), r"byte 0 .*UTF-16"),
        (b"", "no text in"),
        (b" \n\n", "no text in"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad.txt").write_bytes(content)
    with pytest.raises(KgptError, match=message):
        list(read_documents([tmp_path / "bad.txt"]))


def test_sources_that_are_not_there(folder: Path) -> None:
    (folder / "empty").mkdir()
    for source in ("missing.txt", "missing", "*.none"):
        with pytest.raises(KgptError, match="no file, folder or built-in"):
            list(read_documents([folder / source]))
    with pytest.raises(KgptError, match="no .txt file"):
        list(read_documents([folder / "empty"]))
    with pytest.raises(KgptError, match=r"Expected a .txt file.*notes.md"):
        list(read_documents([folder / "notes.md"]))
    with pytest.raises(KgptError, match="Expected a file"):
        list(read_documents([]))


def test_descriptions_change_with_the_content_only(folder: Path) -> None:
    before = describe_sources([folder, "encyclopedia"])
    (folder / "b.txt").touch()
    assert describe_sources([folder, "encyclopedia"]) == before
    (folder / "b.txt").write_text("other")
    assert describe_sources([folder, "encyclopedia"]) != before

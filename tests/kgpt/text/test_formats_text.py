"""Text files: encodings, compressors, damage, and memory that does not grow with the file."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from kgpt.errors import KgptError
from kgpt.text import documents
from kgpt.text.formats import compression, plain
from tests.kgpt.text.read_files import COMPRESSORS, read, read_skipping


def reasons(path: Path, **options: Any) -> tuple[list[str], list[str]]:
    """The documents of a damaged file, and the kinds of damage."""
    texts, skipped = read_skipping(path, **options)
    return texts, [reason for reason, _ in skipped]


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_compressed_files_of_one_part_or_several(tmp_path: Path, suffix: str) -> None:
    compress = COMPRESSORS[suffix]
    (tmp_path / f"a.txt{suffix}").write_bytes(compress(b"um \n") + compress("três".encode()))
    assert read(tmp_path / f"a.txt{suffix}") == ["um \ntrês"]


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_a_cut_file_is_an_error_or_ends_where_it_was_cut(tmp_path: Path, suffix: str) -> None:
    lines = [f"{number * number * 7919 % 100_003} linha" for number in range(150_000)]
    content = COMPRESSORS[suffix]("\n".join(lines).encode())
    path = tmp_path / f"cut.txt{suffix}"
    path.write_bytes(content[: len(content) * 3 // 4])
    with pytest.raises(KgptError, match=r"cut\.txt.*ends before its end mark, after [\d,]+ bytes"):
        read(path, documents="line")
    kept, skipped = reasons(path, documents="line")
    assert skipped == ["Cut file"]
    assert len(kept) > 1000 and kept[:-1] == lines[: len(kept) - 1]


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_what_is_not_compressed_is_damaged(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(b"plain text and nothing else, for long enough")
    with pytest.raises(KgptError, match=rf"not as a {suffix} file must be"):
        read(path)
    assert reasons(path) == ([], ["Damaged file", "Empty source"])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_marked_encodings(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.txt").write_bytes("ação 😀\r\nfim".encode(encoding))
    assert read(tmp_path / "a.txt") == ["ação 😀\nfim"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("ação".encode("cp1252"), r"byte 1 \(line 1\) is 0xE7.*ISO-8859-1"),
        ("a\n“b”".encode("cp1252"), r"byte 2 \(line 2\) is 0x93.*WINDOWS-1252"),
        ("é ã õ ç\n".encode() + b"\xe7", r"byte 12 \(line 2\) is 0xE7.*mixes encodings"),
        (b"a\nb\0c", r"byte 3 \(line 2\) is NUL"),
        (b"\xff\xfea\0\x00\xd8", "mark of UTF-16"),
        (b"fim\xc3", r"byte 3 \(line 1\) is 0xC3"),
    ],
)
def test_bytes_that_are_no_text(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad.txt").write_bytes(content)
    with pytest.raises(KgptError, match=rf"bad\.txt: .*{message}"):
        read(tmp_path / "bad.txt")


def test_the_place_of_bad_bytes_far_into_a_file(tmp_path: Path) -> None:
    content = b"ma\xc3\xa7a\n" * 500_000
    (tmp_path / "bad.txt").write_bytes(content + b"ma\xe7a")
    with pytest.raises(KgptError, match=rf"byte {len(content) + 2} \(line 500001\) is 0xE7"):
        read(tmp_path / "bad.txt")


def test_lines_with_damage_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("maçã\n".encode() + b"a\xe7\nb\0\nfim")
    assert reasons(tmp_path / "a.txt") == (["maçã\nfim"], ["Not UTF-8", "NUL byte"])


def test_other_bytes_are_read_as_windows_1252(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("maçã ".encode() + "“pão”\r\n".encode("cp1252") + b"\x81")
    assert read(tmp_path / "a.txt", mend_encoding=True) == ["maçã “pão”\n\ufffd"]


def test_nuls_are_kept_where_allowed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a\0b")
    assert read(tmp_path / "a.txt", allow_nul=True) == ["a\0b"]


BREAKS = st.sampled_from(
    ["\n", "\r\n", "\r", "\n\n", "\n \t\n", " ", "\u2028", "é", "😀", "a", "b c"]
)


@settings(max_examples=200, deadline=None)
@given(
    text=st.lists(BREAKS, max_size=60).map("".join),
    block=st.integers(5, 20),
    how=st.sampled_from(["file", "blank-line", "line"]),
)
def test_neither_blocks_nor_pieces_show_in_the_documents(
    tmp_path_factory: pytest.TempPathFactory, text: str, block: int, how: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "blocks.txt"
    path.write_bytes(text.encode())
    unix = text.replace("\r\n", "\n")
    whole = {
        "file": [unix],
        "line": unix.split("\n"),
        "blank-line": [
            re.sub(r"\A(?:[^\S\n]*\n)+", "", part).strip("\n")
            for part in re.split(r"\n(?:[^\S\n]*\n)+", unix)
        ],
    }[how]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compression, "BLOCK", block)
        patch.setattr(documents, "PIECE_CHARACTERS", 8)
        patch.setattr(documents, "SLACK", 4)
        patch.setattr(plain, "SLACK", 4)
        found, _ = reasons(path, documents=how)
    assert [text for text in found if text.strip()] == [text for text in whole if text.strip()]


BOUNDED = """
import resource, sys
from kgpt.text.sources import ReadOptions, expand_sources, read_source
resource.setrlimit(resource.RLIMIT_DATA, (150 << 20, 150 << 20))
size = 0
for piece in read_source(expand_sources([sys.argv[1]])[0], ReadOptions(sys.argv[2])):
    size += len(piece.text)
print(size)
"""


@pytest.mark.parametrize(("suffix", "how"), [(".gz", "blank-line"), (".zst", "file")])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, suffix: str, how: str) -> None:
    block = ("uma linha de texto, e outra\n" * 40_000).encode()
    path = tmp_path / f"large.txt{suffix}"
    opener = gzip.open(path, "wb", 1) if suffix == ".gz" else zstandard.open(path, "wb")
    with opener as file:
        for _ in range(150):
            file.write(block)
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(path), how], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    size = 150 * len(block)
    assert int(done.stdout) == (size if how == "file" else size - 1)
    assert path.stat().st_size < 2 << 20

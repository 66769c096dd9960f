"""Where texts come from: sources named by a user in, documents out.

A source is a `.txt` file, a folder (its `.txt` files, at any depth), a glob, or the built-in `encyclopedia`. Files are
UTF-8; a byte-order mark is dropped and CRLF becomes LF, nothing else is touched.
"""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from kgpt.errors import KgptError, KgptFailure

DocumentsOption = Literal["file", "blank-line", "line"]

ENCYCLOPEDIA = "encyclopedia"
SHUFFLED_ENCYCLOPEDIA = "encyclopedia:shuffled"
"""The control: the same sentences about facts that are mixed up, so that nothing true can be learnt."""
_BUILT_IN = (ENCYCLOPEDIA, SHUFFLED_ENCYCLOPEDIA)
_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")


def read_documents(
    sources: Sequence[str | Path], documents: DocumentsOption = "file", seed: int = 1
) -> Iterator[str]:
    """The documents of all sources in order; those of nothing but white space are left out.

    Args:
        sources: files, folders, globs or `encyclopedia`; a file named twice is read once.
        documents: what a document is in a text file: the whole `file`, the text between two `blank-line`s, or a
            `line`. An article of the encyclopedia is always one.
        seed: of the encyclopedia's phrasings.

    Raises:
        KgptError: a source is missing, empty, or not UTF-8.
    """
    for source in expand_sources(sources):
        texts = _encyclopedia(source, seed) if isinstance(source, str) else _read(source, documents)
        found = False
        for text in texts:
            if text.strip():
                found = True
                yield text
        if not found:
            raise KgptError(
                "Empty source",
                f"There is no text in {source}.",
                "Give a file with text in it.",
            )


def expand_sources(sources: Sequence[str | Path]) -> list[Path | str]:
    """Every file that the sources mean, and the names of built-in ones, each once.

    Raises:
        KgptError: a source is missing, or a file is not of a kind that can be read.
    """
    if not sources:
        raise KgptError("No source", "Expected a file, a folder or `encyclopedia`.", "")
    found: dict[Path | str, Path | str] = {}
    for source in sources:
        if str(source) in _BUILT_IN:
            found[str(source)] = str(source)
        else:
            found |= {path.resolve(): path for path in _files(str(source))}
    return list(found.values())


def describe_sources(sources: Sequence[str | Path]) -> list[dict[str, Any]]:
    """Name, size in bytes and sha256 of what each source consists of: equal means that nothing has changed.

    Raises:
        KgptError: as `expand_sources`.
    """
    return [_describe(source) for source in expand_sources(sources)]


# === Files ===


def _files(source: str) -> list[Path]:
    path = Path(source)
    if path.is_file():
        return [_readable(path)]
    if path.is_dir():
        files = sorted(item for item in path.rglob("*.txt") if item.is_file())
        expected = f"There is no .txt file in the folder {source}."
    else:
        matches = sorted(map(Path, glob.glob(source, recursive=True)))
        files = [_readable(item) for item in matches if item.is_file()]
        expected = f"There is no file, folder or built-in corpus {source!r}."
    if not files:
        raise KgptError(
            "Source not found",
            expected,
            "Give .txt files, a folder of them, a glob in quotes, or encyclopedia.",
        )
    return files


def _readable(path: Path) -> Path:
    if path.suffix.lower() != ".txt":
        raise KgptError(
            "Source not readable",
            f"Expected a .txt file. Received: {path}",
            "If it is plain text, rename it to .txt; otherwise extract its text first.",
        )
    return path


def _read(path: Path, documents: DocumentsOption) -> Iterator[str]:
    text = _decode(_content(path), path).removeprefix("\ufeff").replace("\r\n", "\n")
    if documents == "file":
        yield text
    elif documents == "line":
        yield from text.split("\n")
    else:
        yield from (part.strip("\n") for part in _BLANK_LINES.split(text))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KgptFailure(
            "Cannot read", f"{path}: {error.strerror}.", "Check the file and its permissions."
        ) from None


def _decode(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        encoding = _likely_encoding(content)
        line = content.count(b"\n", 0, error.start) + 1
        raise KgptError(
            "Not UTF-8",
            f"{path}: byte {error.start} (line {line}) is 0x{content[error.start]:02X}, which is not UTF-8 there;"
            f" the file is probably {encoding}.",
            f"Convert it: iconv -f {encoding} -t UTF-8 {path} > utf8.txt",
        ) from None


def _likely_encoding(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    control = any(0x80 <= byte < 0xA0 for byte in set(content))
    return "WINDOWS-1252" if control else "ISO-8859-1"


def _describe(source: Path | str) -> dict[str, Any]:
    if isinstance(source, Path):
        content = _content(source)
        return _description(str(source), len(content), hashlib.sha256(content).hexdigest())
    from kgpt.text import encyclopedia

    digest, size = hashlib.sha256(), 0
    for path in sorted(Path(encyclopedia.__file__).parent.rglob("*")):
        if path.suffix in (".py", ".toml", ".tsv"):
            content = path.read_bytes()
            digest.update(path.name.encode() + b"\0" + content)
            size += len(content)
    return _description(source, size, digest.hexdigest())


def _description(name: str, size: int, sha256: str) -> dict[str, Any]:
    return {"source": name, "bytes": size, "sha256": sha256}


def _encyclopedia(name: str, seed: int) -> Iterator[str]:
    from kgpt.text import encyclopedia

    return encyclopedia.documents(seed, shuffle_facts=name == SHUFFLED_ENCYCLOPEDIA)

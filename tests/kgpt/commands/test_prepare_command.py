from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = "A casa fica na rua da praia, e o mar não está longe da casa.\n\n" * 20


def kgpt(folder: Path, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kgpt", *arguments]
    environment = {
        "PATH": "",
        "HOME": str(folder),
        "PYTHONIOENCODING": "utf-8",
        "LC_ALL": "C.UTF-8",
    }
    environment |= {"PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path


def test_prepare_then_tokenize(folder: Path) -> None:
    done = kgpt(folder, "prepare", "book.txt", "--vocab-size", "300", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["output"] == "data/book"
    assert result["documents"] == 1
    assert result["bytes"] == len(TEXT.encode())
    assert result["bytes_per_token"] == pytest.approx(result["bytes"] / result["tokens"])
    assert result["seconds"] >= 0
    assert "Training a tokenizer with 300 ids" in done.stderr

    again = kgpt(folder, "prepare", "book.txt", "--vocab-size", "300")
    assert "up to date" in again.stderr and "data/book" in again.stdout

    shown = kgpt(folder, "tokenize", "book", "Não há", "--json")
    tokens = json.loads(shown.stdout)
    assert (
        bytes.fromhex("".join(item["bytes_hex"] for item in tokens["tokens"])) == "Não há".encode()
    )
    assert tokens["ids"] == [item["id"] for item in tokens["tokens"]]
    piped = kgpt(folder, "tokenize", "data/book", "-", text="Não há")
    assert piped.stdout.splitlines()[-1].startswith(f"{len(tokens['ids'])} tokens, 8 bytes, ")


def test_output_and_options(folder: Path) -> None:
    arguments = ["prepare", "book.txt", "--tokenizer", "bytes", "--documents", "blank-line"]
    arguments += ["--validation", "tail", "--validation-fraction", "0.5", "--output", "./here"]
    done = kgpt(folder, *arguments, "--seed", "3")
    assert done.returncode == 2, "twenty equal documents cannot be split"
    (folder / "book.txt").write_text(TEXT + "outro\n\nfim", encoding="utf-8")
    done = kgpt(folder, *arguments, "--seed", "3", "--json")
    manifest = json.loads((folder / "here" / "manifest.json").read_text())
    assert manifest["options"]["seed"] == 3
    assert manifest["documents"] == json.loads(done.stdout)["documents"] == 22
    assert kgpt(folder, *arguments).returncode == 2
    assert kgpt(folder, *arguments, "--overwrite").returncode == 0


def test_standard_input_in_a_format(folder: Path) -> None:
    arguments = ["prepare", "-.jsonl", "book.txt", "--tokenizer", "bytes", "--output", "in"]
    done = kgpt(folder, *arguments, "--json", text='{"text": "um"}\n{"text": "dois"}\n')
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["documents"] == 3


def test_what_a_folder_has_beside_text_is_said(folder: Path) -> None:
    (folder / "books").mkdir()
    (folder / "book.txt").rename(folder / "books" / "book.txt")
    (folder / "books" / "cover.png").touch()
    done = kgpt(folder, "prepare", "books", "--tokenizer", "bytes")
    assert "Passed over files that are in books: 1 .png" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepare", "missing.txt"], "Source not found"),
        (["prepare", "empty.txt"], "Empty source"),
        (["prepare", "latin.txt"], "iconv -f ISO-8859-1"),
        (["prepare", "book.txt", "--vocab-size", "9"], "at least 257"),
        (["prepare", "book.txt", "--tokenizer", "nowhere"], "No tokenizer found"),
        (["prepare", "book.txt", "--output", "./full"], "not prepared data"),
        (["prepare", "book.txt", "--tokenizer-sample", "1.5"], "expected whole megabytes or all"),
        (["prepare", "book.txt", "--weight", "book.txt=much"], "expected SOURCE=NUMBER"),
        (["prepare", "book.txt", "--cluster", "local:1", "--parts", "0"], "Expected 1 or more"),
        (["prepare", "book.txt", "--tokenizer", "bytes", "--special-tokens", "end"], "as it is"),
        (["prepare", "book.txt", "--tokenizer", "bytes", "--pre-tokenization", "gpt4"], "as it is"),
        (["prepare", "book.txt", "--tokenizer", "bytes", "--tokenizer-sample", "3"], "as it is"),
        (["tokenize", "nowhere", "x"], "No tokenizer found"),
    ],
)
def test_bad_input(folder: Path, arguments: list[str], message: str) -> None:
    (folder / "empty.txt").touch()
    (folder / "latin.txt").write_bytes("ação".encode("latin-1"))
    (folder / "full").mkdir()
    (folder / "full" / "thesis.doc").touch()
    before = sorted(folder.rglob("*"))
    done = kgpt(folder, *arguments)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr
    assert done.stderr[done.stderr.index("kgpt:") :].count("\n") <= 3
    assert sorted(folder.rglob("*")) == before

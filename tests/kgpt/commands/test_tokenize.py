"""`kgpt tokenize`: what is printed for people and for programs."""

from __future__ import annotations

import codecs
import json
import os
import pty
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given
from rich.cells import cell_len
from rich.text import Text

from kgpt.commands import main
from kgpt.commands.token_views import (
    Token,
    split_characters,
    stretches,
    text_of,
    tokens_of,
    visible,
    whole_characters,
)
from kgpt.text.tokenizer import Tokenizer

TEXT = "Não há ninguém na praça; o coração não está longe da casa.\n"
HARD = "é \tab\r\n\u00a0x\u200d👩‍👩‍👧 漢字 e\u0301 \u0301 שלום \x1b[31mred\x07\x00 \u202eabc \x9b \ufe0f"
texts = st.text(st.sampled_from(HARD) | st.characters(exclude_categories=["Cs"]), max_size=30)
SMALL = Tokenizer.train([TEXT * 4], 320)
LARGE = Tokenizer.train([TEXT * 4 + "Olá, 漢字 👩‍👩‍👧! " * 4], 400)

Call = Callable[..., str]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> Call:
    """What `kgpt tokenize ARGUMENTS` prints, in a folder with the data `small` and the tokenizer `large`."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "KGPT_DATA", "KGPT_SAVED_MODELS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    SMALL.save(tmp_path / "data" / "small" / "tokenizer")
    LARGE.save(tmp_path / "large")

    def run(*arguments: str) -> str:
        assert main(["tokenize", *arguments]) == 0
        return capsys.readouterr().out

    return run


# === What is printed ===


def test_plain_columns(call: Call) -> None:
    lines = call("bytes", "é\n").splitlines()
    assert lines == [
        "   195  c3                        b'\\xc3'",
        "   169  a9                        b'\\xa9'",
        "    10  0a                        '\\n'",
        "3 tokens, 3 bytes, 1.00 bytes a token, 3.00 tokens a word",
    ]


def test_figures(call: Call) -> None:
    text = "Não há ninguém na praça"
    count = len(SMALL.encode(text))
    expected = (
        f"{count} tokens, 27 bytes, {27 / count:.2f} bytes a token, {count / 5:.2f} tokens a word"
    )
    assert call("small", text).splitlines()[-1] == expected
    assert call("bytes", "").splitlines() == ["0 tokens, 0 bytes"]
    assert call("bytes", " ").splitlines()[-1] == "1 token, 1 byte, 1.00 bytes a token"


def test_json(call: Call) -> None:
    alone = json.loads(call("small", TEXT, "--json"))
    assert set(alone) == {"ids", "tokens", "bytes"}
    assert alone["ids"] == SMALL.encode(TEXT) == [item["id"] for item in alone["tokens"]]
    assert bytes.fromhex("".join(item["bytes_hex"] for item in alone["tokens"])) == TEXT.encode()
    assert "".join(item["text"] for item in alone["tokens"]) == TEXT
    both = json.loads(call("small", TEXT, "--json", "--beside", "large"))
    assert both.pop("beside") == {"tokenizer": "large"} | json.loads(call("large", TEXT, "--json"))
    assert both == alone


def test_beside_is_aligned_by_position(call: Call) -> None:
    lines = call("small", "Olá 漢", "--beside", "bytes").splitlines()
    assert lines[0].split() == ["small", "bytes"]
    assert lines[1].split() == ["at", "id", "bytes", "text", "id", "bytes", "text"]
    rows = lines[2:-3]
    starts = [int(row[:2]) for row in rows if row[:2].strip()]
    tokens = tokens_of(SMALL, "Olá 漢")
    assert starts == [token.start for token in tokens], "every border of small is one of bytes"
    assert len(rows) == len("Olá 漢".encode())
    place = lines[1].index("text")
    assert all(row[place] in "'b" for row in rows if row[:2].strip()), "the columns are aligned"
    assert lines[-3].startswith("small  ") and "bytes a token" in lines[-3]
    assert lines[-2].startswith("bytes  8 tokens, 8 bytes, 1.00 bytes a token")
    assert lines[-1] == f"small needs {len(tokens) / 8:.2f} times the tokens of bytes"


def test_special_tokens_are_text_unless_asked_for(call: Call) -> None:
    text = "fim<|endoftext|>Não"
    end = SMALL.end_of_text
    for beside in ([], ["--beside", "small"]):
        plain = json.loads(call("small", text, "--json", *beside))
        asked = json.loads(call("small", text, "--json", "--special", *beside))
        for result in [plain, plain.get("beside", plain)]:
            assert end not in result["ids"]
        for result in [asked, asked.get("beside", asked)]:
            assert result["ids"].count(end) == 1 and result["bytes"] == plain["bytes"]
    assert "'<|endoftext|>'" in call("small", text, "--special")
    assert "'<|endoftext|>'" not in call("small", text)


def test_in_colour(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = call("small", "Não há\tninguém\n漢")
    assert "\x1b" not in plain
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = Text.from_ansi(call("small", "Não há\tninguém\n漢"))
    lines = [line.rstrip() for line in shown.plain.splitlines()]
    assert lines[:2] == ["Não·há→ninguém⏎", "\\xe6\\xbc\\xa2"]
    assert lines[-1] == plain.splitlines()[-1]
    assert lines[-5].split() == [str(SMALL.encode("漢")[0]), "e6", "\\xe6", "1/3", "of", "漢"]
    backgrounds = [
        str(span.style.bgcolor.name)
        for span in shown.spans
        if span.end <= 15 and getattr(span.style, "bgcolor", None)
    ]
    assert len(set(backgrounds)) == 2
    monkeypatch.setenv("NO_COLOR", "1")
    assert call("small", "Não há\tninguém\n漢") == plain


def test_side_by_side_in_colour(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    text = "Não há ninguém. " + "x" * 40 + " Olá 漢字 e\u0301"
    for width in (80, 120):
        monkeypatch.setenv("COLUMNS", str(width))
        shown = Text.from_ansi(call("small", text, "--beside", "large")).plain.splitlines()
        assert shown[0] == "small" and "large" in shown
        assert max(cell_len(line.rstrip()) for line in shown) <= width
        assert shown[-1].startswith("small needs 1.")
    assert any(line.split()[:2] == ["0", str(SMALL.encode(text)[0])] for line in shown)


def test_long_texts_lose_nothing(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    text = TEXT * 60
    lines = [line.rstrip() for line in Text.from_ansi(call("small", text)).plain.splitlines()]
    block, rest = lines[:60], lines[60:]
    assert block == [TEXT.replace(" ", "·").replace("\n", "⏎")] * 60
    assert [int(line.split()[0]) for line in rest[1:-2]] == SMALL.encode(text)


# === Standard input, terminals and pipes ===


def child(folder: Path, *arguments: str, **options) -> subprocess.Popen[bytes]:
    environment = {"PATH": "", "HOME": str(folder), "PYTHONPATH": str(Path(__file__).parents[3])}
    environment |= {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"} | options.pop("env", {})
    command = [sys.executable, "-m", "kgpt", "tokenize", *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment, **options)


def test_standard_input_is_read_as_it_is(tmp_path: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    out, _ = child(tmp_path, "bytes", "-", "--json", **pipes).communicate(b"a\r\nb\xc3\xa9")
    assert bytes(json.loads(out)["ids"]) == b"a\r\nb\xc3\xa9"
    process = child(tmp_path, "bytes", "-", **pipes)
    out, err = process.communicate(b"abc\xe9")
    assert (process.returncode, out) == (2, b"")
    assert b"Text is not UTF-8" in err and b"Byte 3 of standard input is 0xe9" in err


@pytest.mark.parametrize("environment", [{}, {"FORCE_COLOR": "1"}])
def test_a_reader_that_leaves_is_no_error(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "long.txt").write_text(TEXT * 400, encoding="utf-8")
    with open(tmp_path / "long.txt", "rb") as file:
        pipes = {"stdin": file, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = child(tmp_path, "bytes", "-", env=environment, **pipes)
        assert process.stdout is not None and process.stdout.readline()
        process.stdout.close()
        _, err = process.communicate()
    assert (process.returncode, err) == (0, b"")


def test_on_a_terminal_nothing_of_the_text_acts(tmp_path: Path) -> None:
    (tmp_path / "hard.txt").write_text(HARD, encoding="utf-8")
    parent, terminal = pty.openpty()
    with open(tmp_path / "hard.txt", "rb") as file:
        process = child(tmp_path, "bytes", "-", "--beside", "bytes", stdin=file, stdout=terminal)
        os.close(terminal)
        received = b""
        try:
            while block := os.read(parent, 65536):
                received += block
        except OSError:  # the other end is closed: how a terminal of Linux ends
            pass
    os.close(parent)
    assert process.wait() == 0
    assert b"\\x1b" in received and b"48;5;" in received, "it is in colour"
    plain = Text.from_ansi(received.decode().replace("\r\n", "\n")).plain
    for character in set(plain) - {"\n"}:
        assert unicodedata.category(character) not in ("Cc", "Cf"), repr(character)
    assert b"\x1b[31mred" not in received


# === What a token looks like ===


@given(texts)
def test_only_what_a_terminal_shows_is_shown(text: str) -> None:
    for tokenizer in (Tokenizer.bytes(), LARGE):
        shown = "".join(text_of(token, "", "").plain for token in tokens_of(tokenizer, text))
        for character in shown:
            assert character == " " or unicodedata.category(character)[0] not in "CZ"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a b\tc\r\n", "a·b→c\\r⏎"),
        ("\x00\x1b\x7f\x85\xad", "\\x00\\x1b\\x7f\\u0085\\u00ad"),
        ("\u00a0\u3000\u2028\u202e", "\\u00a0\\u3000\\u2028\\u202e"),
        ("👩\u200d👧\ufe0f", "👩\\u200d👧\\ufe0f"),
        ("e\u0301\u0302", "e\u0301\u0302"),
        ("\u0301\u0302a", "◌\u0301\u0302a"),
        (" \u0301", "·◌\u0301"),
        ("\U000e0001\U0010ffff\ue000", "\\U000e0001\\U0010ffff\\ue000"),
        ("漢é", "漢é"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    assert "".join(part for part, _ in visible(text)) == shown


@given(texts, st.integers(0, 60), st.integers(0, 60))
def test_a_slice_of_a_text_is_cut_at_its_ends_alone(text: str, first: int, last: int) -> None:
    data = text.encode()[first:last]
    head, middle, tail = whole_characters(data)
    assert head + middle.encode() + tail == data
    assert all(byte & 0xC0 == 0x80 for byte in head)
    decoder = codecs.getincrementaldecoder("utf-8")()
    assert decoder.decode(data[len(head) :]) == middle
    assert decoder.getstate()[0] == tail


def test_split_characters_are_told() -> None:
    whole = "é漢👩".encode()
    cuts = [0, 1, 4, 8, 9]
    tokens = [
        Token(number, 0, whole[start:end], start)
        for number, (start, end) in enumerate(zip(cuts, cuts[1:], strict=False))
    ]
    notes = [split_characters(token, whole) for token in tokens]
    assert notes == [
        ["1/2 of é"],
        ["2/2 of é", "1-2/3 of 漢"],
        ["3/3 of 漢", "1-3/4 of 👩"],
        ["4/4 of 👩"],
    ]


@given(texts, st.sampled_from([SMALL, LARGE, Tokenizer.bytes()]))
def test_stretches_are_the_shortest_that_agree(text: str, other: Tokenizer) -> None:
    left, right = tokens_of(LARGE, text), tokens_of(other, text)
    found = list(stretches(left, right))
    assert [token for ours, _ in found for token in ours] == left
    assert [token for _, theirs in found for token in theirs] == right
    borders = {token.end for token in left} & {token.end for token in right}
    assert [ours[-1].end for ours, _ in found] == sorted(borders)

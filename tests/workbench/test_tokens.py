"""Tokens: from replies and files that may hold anything, as text, as chips, as lines of chips."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.chips import PROMPT, lay_out, line_of, vertical_neighbour
from workbench.tokens import (
    Alternative,
    Token,
    chip_texts,
    token_of_reply,
    token_of_row,
    visible,
    whole_text,
)

REPLY = {
    "token": 7,
    "bytes_hex": "206d61",
    "probability": 0.125,
    "alternatives": [{"token": 9, "bytes_hex": "c3", "probability": 0.5}],
}


def test_a_reply_and_its_row() -> None:
    token = token_of_reply(REPLY)
    assert token == Token(7, b" ma", 0.125, (Alternative(9, b"\xc3", 0.5),))
    assert token.surprise == 3.0
    assert token_of_row(json.loads(json.dumps(token.as_row()))) == token


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*REPLY]), JSON))
def test_any_reply_is_a_token(reply: dict[str, object]) -> None:
    token = token_of_reply(reply)
    assert isinstance(token.content, bytes) and math.isfinite(token.surprise or 0.0)


@given(JSON)
def test_any_row_is_a_token(row: object) -> None:
    assert isinstance(token_of_row(row).token, int)


def test_whole_characters_and_what_has_begun() -> None:
    assert whole_text([b"ma", "ç".encode()[:1]]) == ("ma", "ç".encode()[:1])
    assert whole_text([b"ma", *(bytes([byte]) for byte in "çã".encode())]) == ("maçã", b"")
    assert whole_text([b"\xff", b"a"]) == ("\ufffda", b"")


@pytest.mark.parametrize(
    ("content", "text"),
    [(b" de", "·de"), (b"\n\t", "↵⇥"), (b"\xc3", "‹c3›"), (b"", "‹end›"), (b"[b]", "[b]")],
)
def test_visible(content: bytes, text: str) -> None:
    assert visible(content) == text


def test_a_character_of_several_tokens_stands_with_the_last() -> None:
    fire = "🔥".encode()
    assert chip_texts([b" a", fire[:2], fire[2:], b"\n", b""]) == [
        " a", "‹f09f›", "🔥", "↵\n", "‹end›",
    ]  # fmt: skip


@given(st.text(max_size=30), st.lists(st.text(max_size=12), max_size=20), st.integers(8, 40))
def test_chips_keep_every_character_and_no_line_is_too_wide(
    prompt: str, texts: list[str], width: int
) -> None:
    from rich.cells import cell_len

    lines = lay_out(prompt, texts, width)
    for number, text in enumerate(texts):
        shown = "".join(chip.text for line in lines for chip in line if chip.token == number)
        assert shown == "".join(part.rstrip("\n") for part in text.splitlines(keepends=True))
    for line in lines:
        assert sum(cell_len(chip.text) for chip in line) <= width
        assert [chip.column for chip in line] == [
            sum(cell_len(before.text) for before in line[:at]) for at in range(len(line))
        ]


def test_up_and_down_keep_the_column() -> None:
    lines = lay_out("p ", ["aaaa", "bbbb", "cccc", "dd\n", "eeee", "ffff"], 10)
    assert [[chip.token for chip in line] for line in lines] == [
        [PROMPT, PROMPT, 0, 1],
        [2, 3],
        [4, 5],
    ]
    assert line_of(lines, 3) == 1
    assert [vertical_neighbour(lines, token, 1) for token in (0, 1, 2, 4)] == [2, 3, 4, 4]
    assert [vertical_neighbour(lines, token, -1) for token in (0, 2, 5)] == [0, 0, 3]

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgpt.inference.text_stream import TextStream


def feed(chunks, stop=()):
    """Texts shown, and whether a stop text ended it."""
    stream, shown = TextStream(stop), []
    for chunk in chunks:
        text, stopped = stream.add(chunk)
        shown.append(text)
        if stopped:
            return shown, True
    return [*shown, stream.rest()], False


def split(content: bytes, seed: int) -> list[bytes]:
    cuts = np.random.default_rng(seed).integers(0, len(content) + 1, 6)
    edges = [0, *sorted(cuts.tolist()), len(content)]
    return [content[a:b] for a, b in zip(edges, edges[1:], strict=False)]


@given(st.text(), st.integers(0, 1000))
def test_text_arrives_whole_and_without_half_characters(text, seed):
    shown, _ = feed(split(text.encode(), seed))
    assert "".join(shown) == text
    assert "\ufffd" in text or all("\ufffd" not in piece for piece in shown)


@given(st.binary(), st.integers(0, 1000))
def test_any_bytes_decode_as_python_decodes_them(content, seed):
    shown, _ = feed(split(content, seed))
    complete = (content + b"\n").decode("utf-8", "replace")[:-1]
    assert complete.startswith("".join(shown))
    assert complete.removeprefix("".join(shown)) in ("", "\ufffd")  # at most one cut character


def naive(text: str, stops) -> str:
    """Reads the text character by character until it ends with a stop text; takes the longest off."""
    for end in range(1, len(text) + 1):
        ending = [stop for stop in stops if text[:end].endswith(stop)]
        if ending:
            return text[: end - max(map(len, ending))]
    return text


@given(
    st.text("ab\n", max_size=20),
    st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3),
    st.integers(0, 1000),
)
def test_stop_texts_do_not_depend_on_where_tokens_end(text, stops, seed):
    shown, stopped = feed(split(text.encode(), seed), stops)
    assert "".join(shown) == naive(text, stops)
    assert stopped == any(stop in text for stop in stops)


@pytest.mark.parametrize(
    ("chunks", "stop", "expected"),
    [
        (["um do", "is t", "rês"], ["dois tr"], ["um ", "", ""]),
        (["aab", "aac"], ["aac"], ["aab", ""]),
        (["a", "a", "a", "b"], ["aab"], ["", "", "a", ""]),
        (["x\n", "\ny"], ["\n\n"], ["x", ""]),
        (["coraç", "ão"], ["ção"], ["cora", ""]),
    ],
)
def test_nothing_of_a_stop_text_is_shown(chunks, stop, expected):
    shown, stopped = feed([chunk.encode() for chunk in chunks], stop)
    assert (shown, stopped) == (expected, True)


def test_the_beginning_of_a_stop_text_is_shown_when_it_goes_on_otherwise():
    assert feed([b"um do", b"ze"], ["dois"]) == (["um ", "doze", ""], False)
    assert feed([b"um do"], ["dois"]) == (["um ", "do"], False)

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgpt.errors import KgptError, KgptFailure
from kgpt.protocol import MAX_LINE_BYTES, GenerateOptions, decode, encode, error_message

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)  # fmt: skip


@given(st.dictionaries(st.text(), plain, max_size=5), st.text())
def test_a_message_survives_its_line(message, kind):
    message = {**message, "type": kind}
    line = encode(message)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert decode(line) == message == decode(line.decode())


@given(st.binary() | st.text())
def test_any_line_is_a_message_or_a_clear_error(line):
    try:
        assert isinstance(decode(line)["type"], str)
    except KgptError as error:
        assert error.title in ("Broken message", "Message too long") and error.message


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{",
        b'{"type": "load"',
        b"[]",
        b"null",
        b'"load"',
        b"{}",
        b'{"type": 5}',
        b'{"type": null}',
        b'{"type": "\xff"}',
        b'{"type": "a"} {"type": "b"}',
        b"[" * 200_000,
        b"1" * 10_000,
    ],
    ids=lambda line: repr(line[:30]),
)
def test_broken_lines(line):
    with pytest.raises(KgptError, match="Broken message"):
        decode(line)


def test_a_line_has_a_longest_length():
    line = b'{"type": "' + b"a" * (MAX_LINE_BYTES - 12) + b'"}'
    assert len(line) == MAX_LINE_BYTES and decode(line)["type"].startswith("a")
    with pytest.raises(
        KgptError, match=rf"at most {MAX_LINE_BYTES} bytes. Received: {len(line) + 1}"
    ):
        decode(line + b" ")


def test_numbers_that_json_cannot_hold_are_not_sent():
    with pytest.raises(ValueError):
        encode({"type": "token", "probability": float("nan")})


def test_an_error_says_the_same_as_a_reply():
    reply = error_message(KgptFailure("Title", "Message", "Hint"), 7)
    expected = {"type": "error", "id": 7, "title": "Title", "message": "Message", "hint": "Hint"}
    assert decode(encode(reply)) == expected and list(reply)[0] == "type"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("max_tokens", [1, 10**6], [0, -1, 1.0, True, "5", None]),
        (
            "temperature",
            [0, 0.0, 2, 1e6],
            [-0.1, float("nan"), float("inf"), "1", None, True, 10**400],
        ),
        ("top_k", [0, 1, 10**6], [-1, 1.5, True, None]),
        ("top_p", [1, 1.0, 1e-9], [0, 0.0, 1.01, -1, float("nan"), "x"]),
        ("min_p", [0, 0.999], [1, 1.0, -0.1, float("nan")]),
        ("repetition_penalty", [1, 0.1, 5.0], [0, -1.0, float("inf")]),
        ("stop", [(), ("a",), ["a", "b"]], ["a", ("",), (1,), None, 5]),
        ("seed", [None, 0, 2**63 - 1], [-1, 2**63, 1.0, True, "1"]),
    ],
)
def test_limits_of_the_options(name, good, bad):
    for value in good:
        assert getattr(GenerateOptions(**{name: value}), name) == value
    for value in bad:
        with pytest.raises(KgptError) as caught:
            GenerateOptions(**{name: value})
        assert caught.value.message.startswith(f"{name} must be ")
        assert f"{name}={value!r}" in caught.value.message


def test_options_from_plain_values():
    given = json.loads('{"stop": ["a"], "temperature": 0, "seed": null}')
    assert GenerateOptions.from_dict(given) == GenerateOptions(stop=("a",), temperature=0)
    assert GenerateOptions.from_dict({}) == GenerateOptions()
    with pytest.raises(KgptError, match=r"no option 'temprature'[\s\S]*temperature"):
        GenerateOptions.from_dict({"temprature": 1})

"""Conversations with a model: what it is asked, and what of its answer is shown."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import write_chat

from kgpt.errors import KgptError
from kgpt.inference.chat import Chat, load_chat
from kgpt.inference.context import PromptTooLong
from kgpt.inference.continuation import Piece
from kgpt.protocol import GenerateOptions
from kgpt.text.conversations import Turn
from kgpt.text.templates import ALPACA, CHAT, prompt_ids


@pytest.fixture(scope="module")
def chat(tmp_path_factory):
    return load_chat(write_chat(tmp_path_factory.mktemp("runs") / "chat"), decoder="litert")


def exchange(*words):
    roles = ("user", "assistant")
    return [Turn(roles[place % 2], word) for place, word in enumerate(words)]


def test_a_conversation_that_fits_is_asked_whole(chat):
    turns = [Turn("system", "s"), *exchange("a", "b", "c")]
    assert chat.prompt(turns, 4) == prompt_ids(CHAT, turns, chat.generator.tokenizer)


def test_the_oldest_turns_are_forgotten_and_the_system_stays(chat):
    said = Turn("system", "be brief")
    turns = exchange("aaaa", "bbbb", "cccc", "dddd", "eeee")
    ids = chat.prompt([said, *turns], 16)
    assert ids == prompt_ids(CHAT, [said, *turns[-1:]], chat.generator.tokenizer)
    assert len(ids) <= 40 - 16
    roomy = chat.prompt([said, *turns], 1)  # less room for the answer: more is remembered
    assert roomy == prompt_ids(CHAT, [said, *turns[2:]], chat.generator.tokenizer)


def test_a_question_may_take_the_room_of_the_answer_but_no_more_than_the_context(chat):
    assert len(chat.prompt(exchange("x" * 30))) == 34
    with pytest.raises(PromptTooLong, match="Received: 54 tokens"):
        chat.prompt(exchange("x" * 50))


@pytest.mark.parametrize("turns", [[], exchange("a", "b"), [Turn("system", "x")]])
def test_the_last_turn_must_be_the_user_s(chat, turns):
    with pytest.raises(KgptError, match="must be the user's"):
        chat.prompt(turns)


def test_an_answer_is_what_the_generator_writes_after_the_prompt(chat):
    options, turns = GenerateOptions(max_tokens=9, seed=4), exchange("Oi")
    plain = list(chat.generator.stream(prompt_ids(CHAT, turns, chat.generator.tokenizer), options))
    shown = list(chat.answer(turns, options))
    assert [piece.token for piece in shown] == [piece.token for piece in plain]
    text = "".join(piece.text for piece in plain)
    assert "".join(piece.text for piece in shown) == text.removeprefix(" ")


@given(st.text(alphabet=" ab", max_size=6), st.lists(st.integers(0, 6)))
def test_only_what_the_template_puts_before_an_answer_is_taken_off(text, cuts):
    for before in ("", " ", "  a"):
        template = dataclasses.replace(CHAT, before_answer=before)
        ends = sorted({min(cut, len(text)) for cut in cuts} | {len(text)})
        parts = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        show = Chat(None, template).shown()
        shown = "".join(show(Piece(0, b"", part, 1.0, (), None)).text for part in parts)
        if text.startswith(before):
            assert shown == text.removeprefix(before)
        else:
            assert text.endswith(shown) and before.startswith(text.removesuffix(shown))


def test_another_template_asks_otherwise(chat):
    turns = exchange("a")
    other = Chat(chat.generator, dataclasses.replace(ALPACA, beginning="x"))
    assert other.prompt(turns, 1) != chat.prompt(turns, 1)

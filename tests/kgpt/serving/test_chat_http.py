"""Conversations over HTTP, as OpenAI's own client has them."""

from __future__ import annotations

import math

import openai
import pytest
from served import served
from tiny import write_chat

from kgpt.inference.chat import load_chat
from kgpt.protocol import GenerateOptions
from kgpt.serving.http import create_app
from kgpt.serving.service import Limits
from kgpt.text.conversations import turns_of

ASKED = [{"role": "user", "content": "Oi"}]


@pytest.fixture(scope="module")
def chat(tmp_path_factory):
    return load_chat(write_chat(tmp_path_factory.mktemp("runs") / "chat"), decoder="litert")


@pytest.fixture(scope="module")
def client(chat):
    app = create_app(chat.generator, "chat", Limits(max_tokens=50), template=chat.template)
    with served(app) as url:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as made:
            yield made


def expected(chat, messages, **options):
    pieces = list(chat.answer(turns_of(messages), GenerateOptions(**options)))
    return "".join(piece.text for piece in pieces), pieces


@pytest.mark.parametrize(
    "messages",
    [
        ASKED,
        [{"role": "system", "content": "x"}, *ASKED],
        [*ASKED, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}],
        [*ASKED, {"role": "assistant", "content": "b" * 30}, {"role": "user", "content": "c"}],
    ],
)
def test_an_answer_is_that_of_the_chat(client, chat, messages):
    given = {"temperature": 0.7, "seed": 5}
    answer = client.chat.completions.create(
        model="chat", messages=messages, max_completion_tokens=12, **given
    )
    text, pieces = expected(chat, messages, max_tokens=12, **given)
    choice = answer.choices[0]
    assert (choice.message.role, choice.message.content) == ("assistant", text)
    assert choice.finish_reason == ("length" if pieces[-1].reason == "length" else "stop")
    prompt = chat.prompt(turns_of(messages), 12)
    assert answer.usage.prompt_tokens == len(prompt)
    assert answer.usage.completion_tokens == len(pieces)
    assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-")


def test_a_stream_brings_the_same_answer_in_parts(client, chat):
    parts = list(
        client.chat.completions.create(
            model="chat",
            messages=ASKED,
            max_tokens=12,
            seed=5,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text, pieces = expected(chat, ASKED, max_tokens=12, seed=5, temperature=1.0)
    deltas = [part.choices[0].delta for part in parts if part.choices]
    assert "".join(delta.content or "" for delta in deltas) == text
    assert [delta.role for delta in deltas if delta.role] == ["assistant"]
    assert {part.object for part in parts} == {"chat.completion.chunk"}
    assert parts[-2].choices[0].finish_reason == "length"
    assert parts[-1].usage.completion_tokens == len(pieces) == 12


def test_several_answers_and_how_probable_their_tokens_are(client, chat):
    answer = client.chat.completions.create(
        model="chat", messages=ASKED, n=2, seed=5, max_tokens=6, logprobs=True, top_logprobs=3
    )
    assert [choice.index for choice in answer.choices] == [0, 1]
    for seed, choice in zip((5, 6), answer.choices, strict=True):
        text, pieces = expected(chat, ASKED, max_tokens=6, seed=seed, temperature=1.0)
        assert choice.message.content == text
        marks = choice.logprobs.content
        assert [bytes(mark.bytes) for mark in marks] == [one.bytes for one in pieces if one.bytes]
        chances = [math.log(one.probability) for one in pieces if one.bytes]
        assert [mark.logprob for mark in marks] == pytest.approx(chances, rel=1e-3)
        assert all(len(mark.top_logprobs) == 3 for mark in marks)


@pytest.mark.parametrize(
    ("messages", "options", "says"),
    [
        ([{"role": "assistant", "content": "x"}], {}, "expected a turn of system or user"),
        ([*ASKED, {"role": "assistant", "content": "x"}], {}, "must be the user's"),
        ([*ASKED, *ASKED], {}, "turn 2"),
        ([{"role": "tool", "content": "x"}], {}, "role"),
        (ASKED, {"top_logprobs": 2}, "needs logprobs"),
        (ASKED, {"model": "gpt-4"}, "no model"),
    ],
)
def test_what_cannot_be_answered_is_told(client, messages, options, says):
    given = {"model": "chat", **options}
    with pytest.raises((openai.BadRequestError, openai.NotFoundError), match=says):
        client.chat.completions.create(messages=messages, **given)


def test_a_question_longer_than_the_context_is_refused(client):
    long = [{"role": "user", "content": "x" * 100}]
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="chat", messages=long)
    assert caught.value.status_code == 413
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="chat", messages=ASKED, max_tokens=51)
    assert caught.value.status_code == 413


def test_texts_can_still_be_continued(client):
    answer = client.completions.create(model="chat", prompt="Oi", max_tokens=3, seed=1)
    assert answer.usage.completion_tokens == 3

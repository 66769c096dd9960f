"""How conversations are written down, and that nobody but the template writes special tokens."""

from __future__ import annotations

import dataclasses
from itertools import groupby
from operator import itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgpt.errors import KgptError
from kgpt.model.vocabulary import with_tokens
from kgpt.text.conversations import Turn
from kgpt.text.templates import (
    ALPACA,
    CHAT,
    TEMPLATES,
    Template,
    conversation_ids,
    find_template,
    prompt_ids,
    template_of,
)
from kgpt.text.tokenizer import Tokenizer

BYTES = with_tokens(Tokenizer.bytes(), CHAT.special_tokens)
END = "<|endoftext|>"


def written(template, *turns):
    """The text of a conversation, and the parts of it that are answers."""
    ids, is_answer = conversation_ids(template, turns, BYTES)
    pairs = zip(ids, is_answer, strict=True)
    parts = [
        (answer, [token for token, _ in part]) for answer, part in groupby(pairs, itemgetter(1))
    ]
    return BYTES.decode(ids), [BYTES.decode(part) for answer, part in parts if answer]


def test_the_chat_template_marks_who_speaks():
    turns = Turn("system", "Seja breve."), Turn("user", "Oi"), Turn("assistant", "Olá")
    text, answers = written(CHAT, *turns, Turn("user", "Resuma", "isto"), Turn("assistant", "Já"))
    start = f"{END}<|system|> Seja breve.<|user|> Oi<|assistant|> Olá{END}"
    assert text == f"{start}<|user|> Resuma\nisto<|assistant|> Já{END}"
    assert answers == [f" Olá{END}", f" Já{END}"]


def test_alpaca_is_written_as_alpaca_is():
    text, answers = written(ALPACA, Turn("user", "Add.", "1 2"), Turn("assistant", "3"))
    assert text == (
        f"{END}Below is an instruction that describes a task. Write a response that appropriately completes"
        " the request.\n\n### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:\n3" + END
    )
    assert answers == [f"3{END}"]
    text, _ = written(ALPACA, Turn("user", "Add."), Turn("assistant", "3"))
    assert "### Input" not in text


def test_special_tokens_are_ids_in_the_template_and_characters_in_what_is_said():
    said = f"x<|assistant|>{END}"
    ids = prompt_ids(CHAT, [Turn("user", said)], BYTES)
    user, assistant = (BYTES.vocabulary[token] for token in ("<|user|>", "<|assistant|>"))
    assert (ids[0], ids[1], ids[-1]) == (BYTES.end_of_text, user, assistant)
    assert ids[2:-1] == BYTES.encode(f" {said}")
    assert ids.count(assistant) == 1 and ids.count(BYTES.end_of_text) == 1


def test_places_in_what_is_said_are_not_filled():
    turns = [Turn("user", "{input} {instruction}", "{system}")]
    assert "{input} {instruction}\n{system}" in BYTES.decode(prompt_ids(CHAT, turns, BYTES))


TEXTS = st.text(max_size=20)


@given(st.sampled_from(sorted(TEMPLATES)), st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1))
def test_what_a_model_is_asked_is_how_its_training_began(name, exchanges):
    turns = []
    for asked, about, answer in exchanges:
        turns += [Turn("user", asked, about), Turn("assistant", answer)]
    ids, is_answer = conversation_ids(TEMPLATES[name], turns, BYTES)
    prompt = prompt_ids(TEMPLATES[name], turns[:-1], BYTES)
    assert ids[: len(prompt)] == prompt
    rest = TEMPLATES[name].before_answer + turns[-1].text
    assert ids[len(prompt) :] == [*BYTES.encode(rest), BYTES.end_of_text]
    assert all(is_answer[len(prompt) :]) and not is_answer[len(prompt) - 1]


# === Templates of one's own ===


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "perguntas.toml"
    path.write_text('user = "<|user|>P: {instruction}\\nR:"\nbefore_answer = " "\n')
    template = find_template(str(path))
    assert template.name == "perguntas" and template.special_tokens == ("<|user|>",)
    text, answers = written(template, Turn("user", "Quem?"), Turn("assistant", "Eu."))
    assert text == f"{END}<|user|>P: Quem?\nR: Eu.{END}" and answers == [f" Eu.{END}"]
    assert template_of(template.to_values()) == template


def test_the_built_in_ones_survive_run_json():
    for template in TEMPLATES.values():
        assert template_of(template.to_values()) == template
    assert CHAT.special_tokens == ("<|system|>", "<|user|>", "<|assistant|>")
    assert ALPACA.special_tokens == ()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('user = "P:"', "expected {instruction} in `user`, received none"),
        ('user = "{instruction} {answer}"', "received {answer}, {instruction}"),
        ('user = "{instruction}"\nuser_with_input = "{input}"', "expected {input}, {instruction}"),
        ('user = "{instruction}"\nbeginning = "{x}"', "expected no place in `beginning`"),
        ('beginning = "x"', "`user` is missing"),
        ('user = "{instruction}"\nanswer = "x"', "there is no `answer`"),
        ("user = 3", "expected texts alone"),
        ("user = ", "is no TOML file"),
    ],
)
def test_a_template_without_its_fields_is_refused(tmp_path, content, says):
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(KgptError, match="Bad template") as caught:
        find_template(str(path))
    assert says in caught.value.message


def test_no_such_template():
    with pytest.raises(KgptError, match="chat, alpaca, alpaca-pt or a TOML file"):
        find_template("llama")
    with pytest.raises(KgptError, match="holds no template"):
        template_of(None)


def test_each_text_of_a_template_counts():
    turns = [Turn("system", "s"), Turn("user", "u"), Turn("user", "v", "w")]
    texts = dataclasses.asdict(
        Template(
            name="x",
            user="a{instruction}",
            user_with_input="b{instruction}{input}",
            beginning="c",
            system="d{system}",
        )
    )
    assert BYTES.decode(prompt_ids(template_of(texts), turns, BYTES)) == f"{END}cdsaubvw"

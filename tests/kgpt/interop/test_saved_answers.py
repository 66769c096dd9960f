"""An export of a run that answers, used where only TensorFlow can be imported."""

from __future__ import annotations

import dataclasses

import pytest
from saved_model_answers import answers_of
from tiny import write_chat

from kgpt.commands import main
from kgpt.files import write_json
from kgpt.inference.chat import load_chat
from kgpt.protocol import GenerateOptions
from kgpt.text.conversations import Turn
from kgpt.text.templates import CHAT

ASKED = ["Oi", "", "Olá, coração!", "x<|assistant|>y", "😀"]
OTHER = dataclasses.replace(
    CHAT,
    name="other",
    beginning="Q<|system|>:",
    user="a{instruction}b<|user|>c",
    user_with_input="{instruction}{input}",
    before_answer="(?) ",
)


@pytest.mark.parametrize("template", [CHAT, OTHER], ids=lambda template: template.name)
def test_a_saved_model_answers_as_the_chat_does(template, tmp_path):
    run = write_chat(tmp_path / "chat")
    write_json(run.run_file, {**run.read(), "template": template.to_values()})
    options = ("--format", "saved-model", "--max-tokens", "7", "--temperature", "0")
    assert main(["export", str(run.path), "--output", str(tmp_path / "saved"), *options]) == 0
    requests = {
        "answer": ["answer", {"text": ASKED}],
        "default": ["serving_default", {"text": ASKED}],
        "alone": ["answer", {"text": ASKED[2:3]}],
        "nothing": ["answer", {"text": []}],
        "raw": ["generate", {"text": ["Oi"], "max_new_tokens": [3], "temperature": [0.0], "top_k": [0],
                             "top_p": [1.0], "seed": [0]}],
    }  # fmt: skip
    found = answers_of(tmp_path / "saved", requests, tmp_path)
    chat, greedy = load_chat(run, decoder="keras"), GenerateOptions(max_tokens=7, temperature=0)
    for row, text in enumerate(ASKED):
        pieces = list(chat.answer([Turn("user", text)], greedy))
        count = found["answer"]["num_tokens"][row]
        ids = [piece.token for piece in pieces if piece.bytes]
        assert found["answer"]["ids"][row][:count] == ids, text
        content = bytes.fromhex(found["answer"]["text_bytes"][row])
        expected = b"".join(piece.bytes for piece in pieces)
        assert content == expected.removeprefix(template.before_answer.encode())
    assert found["default"] == found["answer"]
    assert found["alone"]["text"] == found["answer"]["text"][2:3]
    assert found["nothing"]["text"] == []
    assert found["raw"]["num_tokens"] == [3]

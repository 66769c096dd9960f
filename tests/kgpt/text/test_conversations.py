"""Conversations from files of every layout, and the files that are none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgpt.errors import KgptError
from kgpt.text.conversations import (
    Conversation,
    FieldNames,
    Turn,
    from_row,
    read_conversations,
    to_row,
    turns_of,
)

ASKED = Conversation((Turn("user", "Quem?"), Turn("assistant", "Eu.")))
ABOUT = Conversation((Turn("user", "Resuma.", "Um texto."), Turn("assistant", "Texto.")))


def file_of(folder, rows, name="rows.json"):
    path = folder / name
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    whole = "[" + ",".join(lines) + "]" if name.endswith(".json") else "\n".join(lines)
    path.write_text(whole, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "Quem?", "input": "", "output": "Eu."},
        {"Instrução": " Quem? ", "entrada": None, "saída": "Eu.\n"},
        {"pergunta": "Quem?", "resposta": "Eu."},
        {"question": "Quem?", "answer": "Eu."},
        {"prompt": "Quem?", "completion": "Eu."},
        {"conversations": [{"from": "human", "value": "Quem?"}, {"from": "gpt", "value": "Eu."}]},
        {
            "messages": [
                {"role": "user", "content": "Quem?"},
                {"role": "assistant", "content": "Eu."},
                {"role": "user", "content": "never answered"},
            ]
        },
    ],
)
def test_every_layout_gives_the_same_conversation(tmp_path, row):
    for name in ("rows.json", "rows.jsonl"):
        found = read_conversations(file_of(tmp_path, [row], name))
        assert found.conversations == [ASKED] and found.rows == 1


def test_tables_too(tmp_path):
    (tmp_path / "rows.csv").write_text("pergunta,resposta\nQuem?,Eu.\n", encoding="utf-8")
    assert read_conversations(tmp_path / "rows.csv").conversations == [ASKED]


def test_an_instruction_may_be_about_something_and_an_answer_a_number(tmp_path):
    rows = [
        {"instruction": "Resuma.", "input": "Um texto.", "output": "Texto."},
        {"instruction": "1 + 1", "input": "", "output": 2},
    ]
    found = read_conversations(file_of(tmp_path, rows))
    assert found.conversations[0] == ABOUT
    assert found.conversations[1].answer == "2"
    assert ABOUT.asked != ASKED.asked and "Um texto." in ABOUT.asked


def test_a_system_turn_and_several_answers(tmp_path):
    turns = [("system", "Seja breve."), ("user", "Oi"), ("assistant", "Olá")]
    turns += [("user", "E aí?"), ("assistant", "Tudo.")]
    rows = [{"messages": [{"role": role, "content": text} for role, text in turns]}]
    (found,) = read_conversations(file_of(tmp_path, rows)).conversations
    assert [(turn.role, turn.text) for turn in found.turns] == turns
    assert found.answer == "Tudo."


def test_what_teaches_nothing_is_left_out_and_counted(tmp_path):
    row = {"question": "Quem?", "answer": "Eu."}
    rows = [row, row, {"question": "", "answer": "x"}, {"question": "x", "answer": " "}]
    found = read_conversations(file_of(tmp_path, rows))
    assert (found.conversations, found.rows) == ([ASKED], 4)
    assert found.left_out == {"copy": 1, "empty question or answer": 2}
    assert "'question'" in found.fields and "'answer'" in found.fields


def test_fields_of_other_names_can_be_named(tmp_path):
    path = file_of(tmp_path, [{"a": "Resuma.", "b": "Texto.", "c": "Um texto."}])
    with pytest.raises(KgptError, match="not clear which field.*a, b, c"):
        read_conversations(path)
    found = read_conversations(path, FieldNames("a", "c", "b"))
    assert found.conversations == [ABOUT]
    with pytest.raises(KgptError, match="no field 'd'; there are: a, b, c"):
        read_conversations(path, FieldNames("d", None, "b"))


def messages(*roles):
    return [{"role": role, "content": "x"} for role in roles]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (messages("assistant"), "expected a turn of system or user, received one of assistant"),
        (messages("user", "user"), "turn 2: expected a turn of assistant"),
        (messages("user", "system"), "received one of system"),
        (messages("user", "oracle"), "received 'oracle'"),
        ([{"role": "user", "content": 3}], "expected a text, received '3'"),
        (["x"], "expected an object"),
        ("x", "expected a list of turns"),
        ([], "expected a list of turns"),
    ],
)
def test_what_is_no_conversation_is_told(tmp_path, given, says):
    with pytest.raises(KgptError, match="Not a conversation") as caught:
        turns_of(given)
    assert says in caught.value.message
    rows = [{"messages": messages("user", "assistant")}, {"messages": given}]
    path = file_of(tmp_path, rows, "rows.jsonl")
    with pytest.raises(KgptError, match="rows.jsonl:2"):
        read_conversations(path)
    kept = read_conversations(path, on_error="skip")
    assert len(kept.conversations) == 1 and kept.left_out == {"not a conversation": 1}


def test_a_broken_line_has_its_number_and_text(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "a", "answer": "b"}\n{"question": "c", \n', encoding="utf-8")
    with pytest.raises(KgptError) as caught:
        read_conversations(path)
    assert "rows.jsonl:2" in caught.value.message
    assert len(read_conversations(path, on_error="skip").conversations) == 1


def test_a_file_without_any_answer_is_refused(tmp_path):
    with pytest.raises(KgptError, match="Nothing to learn from"):
        read_conversations(file_of(tmp_path, [{"question": "a", "answer": ""}]))


TEXTS = st.text(min_size=1).filter(lambda text: text == text.strip())


@given(st.lists(st.tuples(TEXTS, st.text(), TEXTS), min_size=1, max_size=3), st.text())
def test_a_row_in_a_run_is_read_back_as_it_was(turns, kind):
    said = [
        turn
        for asked, given_text, answer in turns
        for turn in (Turn("user", asked, given_text), Turn("assistant", answer))
    ]
    conversation = Conversation(tuple(said), kind)
    assert from_row(json.loads(json.dumps(to_row(conversation)))) == conversation

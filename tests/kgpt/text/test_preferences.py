"""Pairs of answers from files of every layout, and the files that have none."""

from __future__ import annotations

import json

import pytest

from kgpt.errors import KgptError
from kgpt.text.conversations import Conversation, Turn
from kgpt.text.preferences import (
    Preference,
    preference_from_row,
    preference_to_row,
    read_preferences,
)

ASKED = Turn("user", "Quem?")
GOOD, BAD = (Conversation((ASKED, Turn("assistant", text))) for text in ("Eu.", "Tu."))
PLAIN = {"prompt": "Quem?", "chosen": "Eu.", "rejected": "Tu."}


def file_of(folder, *rows):
    path = folder / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def said(role, text):
    return {"role": role, "content": text}


@pytest.mark.parametrize(
    "row",
    [
        PLAIN,
        {"pergunta": " Quem? ", "escolhida": "Eu.", "rejeitada": "Tu.\n"},
        {
            "prompt": [said("user", "Quem?")],
            "chosen": [said("assistant", "Eu.")],
            "rejected": [said("user", "Quem?"), said("assistant", "Tu.")],
        },
    ],
)
def test_every_layout_gives_the_same_pair(tmp_path, row):
    found = read_preferences(file_of(tmp_path, row))
    assert found.preferences == [Preference(GOOD, BAD)] and found.rows == 1


def test_longer_prompts_stay_whole(tmp_path):
    turns = [said("system", "s"), said("user", "a"), said("assistant", "b"), said("user", "c")]
    row = {"prompt": turns, "chosen": "d", "rejected": "e"}
    (found,) = read_preferences(file_of(tmp_path, row)).preferences
    assert [turn.text for turn in found.chosen.turns] == ["s", "a", "b", "c", "d"]
    assert found.rejected.turns[:-1] == found.chosen.turns[:-1]


def test_what_teaches_nothing_is_left_out_and_counted(tmp_path):
    same = {**PLAIN, "rejected": "Eu. "}
    found = read_preferences(file_of(tmp_path, PLAIN, PLAIN, same, {**PLAIN, "chosen": " "}))
    assert found.left_out == {"copy": 1, "equal answers": 1, "empty answer": 1}
    assert found.rows == 4 and len(found.preferences) == 1
    with pytest.raises(KgptError, match="Nothing to learn from"):
        read_preferences(file_of(tmp_path, same))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"prompt": "a", "chosen": "b"}, "expected a field rejected; there are: prompt, chosen"),
        ({**PLAIN, "chosen": 3}, "expected a text as answer, received '3'"),
        (
            {**PLAIN, "prompt": [said("user", "a"), said("assistant", "b")]},
            "ends with the user's turn",
        ),
        ({**PLAIN, "prompt": [said("oracle", "a")]}, "received 'oracle'"),
    ],
)
def test_what_is_no_preference_is_told(tmp_path, row, says):
    path = file_of(tmp_path, PLAIN, row)
    with pytest.raises(KgptError) as caught:
        read_preferences(path)
    assert says in caught.value.message and "rows.jsonl:2" in caught.value.message
    assert len(read_preferences(path, on_error="skip").preferences) == 1


def test_a_row_in_a_run_is_read_back_as_it_was():
    pair = Preference(GOOD, BAD)
    assert preference_from_row(json.loads(json.dumps(preference_to_row(pair)))) == pair

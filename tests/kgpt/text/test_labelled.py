from __future__ import annotations

import json

import pytest

from kgpt.errors import KgptError
from kgpt.text.labelled import read_examples


@pytest.fixture
def table(tmp_path):
    """`table(name, *lines)` writes a file of lines."""

    def write(name, *lines):
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path / name

    return write


def pairs(found):
    return [(example.label, example.text) for example in found.examples]


BOTH = [("ham", "see you"), ("spam", "win now")]


@pytest.mark.parametrize(
    ("name", "lines", "fields"),
    [
        ("a.tsv", ("label\ttext", "ham\tsee you", "spam\twin now"), ("text", "label")),
        ("a.csv", ("Message,Category", "see you,ham", "win now,spam"), ("Message", "Category")),
        ("a.csv", ("v1,v2,note", "ham,see you,x", "spam,win now,y"), ("v2", "v1")),
        ("a.csv", ("frase,rótulo", "see you,ham", "win now,spam"), ("frase", "rótulo")),
    ],
)
def test_text_and_label_are_found_by_name(table, name, lines, fields):
    found = read_examples(table(name, *lines))
    assert (found.text_field, found.label_field) == fields
    assert pairs(found) == BOTH


def test_a_table_without_header_has_numbered_fields(table):
    found = read_examples(table("a.tsv", "ham\tsee you", "spam\twin now", "ham\tgood night"))
    assert (found.text_field, found.label_field) == ("2", "1")
    assert pairs(found) == [*BOTH, ("ham", "good night")]


def test_of_two_unknown_fields_the_label_repeats_itself(table):
    file = table("a.csv", "text,kind", "see you,ham", "win now,spam", "good night,ham")
    found = read_examples(file)
    assert (found.text_field, found.label_field) == ("text", "kind")


def test_fields_can_be_named(table):
    file = table("a.csv", "text,label,body,stars", "a,b,see you,ham", "c,d,win now,spam")
    found = read_examples(file, "body", "stars")
    assert pairs(found) == BOTH
    for given, option in ((("nothing", None), "--text-field"), ((None, "x"), "--label-field")):
        with pytest.raises(KgptError, match="there are: text, label, body, stars") as caught:
            read_examples(file, *given)
        assert option in caught.value.hint


def test_fields_that_are_not_clear_must_be_named(table):
    with pytest.raises(KgptError, match="a, b, text") as caught:
        read_examples(table("a.csv", "a,b,text", "x,y,see you", "z,w,win now"))
    assert caught.value.title == "Fields not clear"


def test_labels_may_be_numbers(tmp_path):
    rows = [{"label": 1, "text": "good"}, {"label": 0, "text": "bad"}, {"label": 1.0, "text": "x"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_examples(tmp_path / "a.jsonl").labels == ["0", "1"]


def test_copies_contradictions_and_empty_texts_are_left_out_and_counted(table):
    rows = ("ham\tsee you", "spam\twin now", "ham\tsee you", "spam\tboth", "ham\tboth", "ham\t ")
    found = read_examples(table("a.tsv", *rows))
    assert pairs(found) == BOTH
    assert found.left_out == {"copy": 1, "text with two labels": 2, "empty text": 1}
    assert found.rows == 6
    kept = read_examples(table("a.tsv", *rows), drop_copies=False)
    assert len(kept.examples) == 5 and kept.left_out == {"empty text": 1}


def test_labels_that_differ_by_case_are_an_error_or_one(table):
    file = table("a.tsv", "Spam\tone", "spam\ttwo", "ham\tthree", "ham\tfour")
    with pytest.raises(KgptError, match=r"'Spam' \(1\) and 'spam' \(1\)") as caught:
        read_examples(file)
    assert "--fold-case" in caught.value.hint
    assert read_examples(file, fold_case=True).labels == ["ham", "spam"]
    spaces = table("b.tsv", "not  spam\tone", "not spam\ttwo", "spam\tthree", "spam\tfour")
    with pytest.raises(KgptError, match="look like one label"):
        read_examples(spaces)


def test_a_row_without_label_stops_or_is_skipped(table):
    file = table("a.tsv", "label\ttext", "ham\tsee you", "\tnobody knows", "spam\twin now")
    with pytest.raises(KgptError, match=r"a\.tsv:3: the row has no label: 'nobody knows'"):
        read_examples(file)
    found = read_examples(file, on_error="skip")
    assert pairs(found) == BOTH and found.left_out == {"no label": 1}


def test_one_label_teaches_nothing(table):
    with pytest.raises(KgptError, match="'ham' alone") as caught:
        read_examples(table("a.tsv", "ham\tone", "ham\ttwo"))
    assert caught.value.title == "Two labels are needed"


def test_a_field_of_other_things_is_no_label(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"label": 0.5, "text": "x"}\n')
    with pytest.raises(KgptError, match=r"'label' holds '0.5'"):
        read_examples(tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl").write_text('{"label": "a", "text": ["x"]}\n')
    with pytest.raises(KgptError, match="no text"):
        read_examples(tmp_path / "a.jsonl")
    rows = "".join(f'{{"label": "{n}", "text": "t{n}"}}\n' for n in range(1001))
    (tmp_path / "a.jsonl").write_text(rows)
    with pytest.raises(KgptError, match="1,001 different labels"):
        read_examples(tmp_path / "a.jsonl")

from __future__ import annotations

import pytest

from kgpt.errors import KgptError
from kgpt.evaluation.recall import (
    MAX_ANSWER_TOKENS,
    Answered,
    Recall,
    encyclopedia_prompts,
    measure_recall,
    read_prompts,
)
from kgpt.text.encyclopedia import Prompt


def prompt(answer: str, subject: str = "s", relation: str = "r") -> Prompt:
    return Prompt(subject=subject, relation=relation, text="?", answer=answer)


@pytest.mark.parametrize(
    ("completion", "answer", "is_right"),
    [
        (" Paris", "Paris", True),
        ("Paris, na França", "Paris", True),
        ("Paris e outra", "Paris", True),
        ("\n Paris\n", "Paris", True),
        ("Parisiense", "Paris", False),
        ("a cidade de Paris", "Paris", False),
        ("paris", "Paris", False),
        ("Pari", "Paris", False),
        ("", "Paris", False),
        ("Guiné-Bissau", "Guiné", False),
        ("São Luís", "São Luís", True),
        ("1822", "182", False),
        ("Níger", "Níger", True),
        ("Nigéria", "Níger", False),
    ],
)
def test_an_answer_is_right_word_for_word(completion, answer, is_right):
    assert Answered(prompt(answer), completion).is_right is is_right


@pytest.fixture
def recall() -> Recall:
    asked = [("a", "x", "1"), ("a", "x", "1"), ("a", "x", "2"), ("a", "y", "3"), ("b", "x", "2")]
    completions = ["1", "0", "2", "3", "0"]
    pairs = zip(asked, completions, strict=True)
    return Recall(
        tuple(Answered(prompt(answer, subject, relation), given)
              for (subject, relation, answer), given in pairs)
    )  # fmt: skip


def test_shares_by_subject_and_relation(recall):
    assert recall.accuracy == pytest.approx(3 / 5)
    assert recall.by("subject") == {"a": (3, 4), "b": (0, 1)}
    assert recall.by("relation") == {"x": (2, 4), "y": (1, 1)}


def test_the_most_common_answers_are_counted_in_each_relation(recall):
    # "1" of 1 1 2 in a/x, "3" in a/y, "2" in b/x
    assert recall.most_common_answer_accuracy() == pytest.approx((2 + 1 + 1) / 5)


def test_prompts_are_completed_in_order():
    prompts = [prompt("A"), prompt("B"), prompt("C")]

    def complete(texts, count):
        assert (texts, count) == (["?", "?", "?"], MAX_ANSWER_TOKENS)
        return ["A", "x", "C"]

    assert [answer.is_right for answer in measure_recall(complete, prompts).answers] == [
        True, False, True,
    ]  # fmt: skip


def test_the_encyclopedia_asks_enough():
    prompts = encyclopedia_prompts()
    assert len(prompts) >= 300
    assert len({prompt.subject for prompt in prompts}) >= 12
    knowing_nothing = Recall(tuple(Answered(prompt, "") for prompt in prompts))
    assert knowing_nothing.accuracy == 0 and knowing_nothing.most_common_answer_accuracy() < 0.1


def test_prompts_from_a_file(tmp_path):
    file = tmp_path / "prompts.jsonl"
    file.write_text(
        '{"prompt": "A capital da França é", "answer": "Paris"}\n\n'
        '{"prompt": "2+2=", "answer": 4, "subject": "sums", "relation": "plus"}\n',
        encoding="utf-8",
    )
    assert read_prompts(file) == [
        Prompt(subject="-", relation="-", text="A capital da França é", answer="Paris"),
        Prompt(subject="sums", relation="plus", text="2+2=", answer="4"),
    ]


GOOD = '{"prompt": "a", "answer": "b"}\n'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (GOOD.encode() + b"{", "line 2"),
        (GOOD.encode() * 2 + b'\n{"prompt": "a"}', "line 4"),
        (b"[1]", "line 1"),
        (b'"text"', "line 1"),
        (b"\xff", "utf-8"),
        (None, "No such file"),
    ],
)
def test_a_file_that_holds_no_prompts(tmp_path, content, words):
    file = tmp_path / "prompts.jsonl"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(KgptError) as caught:
        read_prompts(file)
    assert words in caught.value.message and str(file) in caught.value.message
    assert caught.value.exit_code == 2

"""Figures of samples counted by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import pytest

from kgpt.errors import KgptError
from kgpt.evaluation.tokens import InMemoryTokens
from kgpt.evaluation.writing import Sample, measure_writing, prompts_from, read_prompts
from kgpt.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Said:
    log_likelihood: float
    tokens: int


def sample(text: str) -> Sample:
    return Sample("p", text, (1,), (2,))


def test_distinct_words_and_repetition():
    samples = [sample("A b a b, a B a b"), sample("c d e f g")]
    said = [Said(-4.0, 2), Said(-2.0, 4)]
    values = measure_writing(samples, said).values
    assert values["distinct_1"] == pytest.approx((2 + 5) / (8 + 5))
    assert values["distinct_2"] == pytest.approx((2 + 4) / (7 + 4))
    assert values["distinct_3"] == pytest.approx((2 + 3) / (6 + 3))
    # five 4-grams, two of them different, and two that come once
    assert values["repetition_rate"] == pytest.approx(3 / (5 + 2))
    assert values["self_perplexity"] == pytest.approx(math.exp(6 / 6))
    assert values["self_perplexity_error"] > 0 and values["repetition_rate_error"] > 0


def test_words_have_marks_inside_and_no_case():
    values = measure_writing(
        [sample("Guarda-chuva, guarda-chuva! D'água ÁGUA")], [Said(-1, 1)]
    ).values
    assert values["distinct_1"] == pytest.approx(3 / 4)


def test_samples_without_words():
    values = measure_writing([sample(""), sample("...")], [Said(-1, 1), Said(-1, 1)]).values
    assert values["distinct_1"] is None and values["repetition_rate"] is None
    assert values["self_perplexity"] == pytest.approx(math.e)


def test_prompts_are_spread_over_a_text():
    tokenizer = Tokenizer.bytes()
    text = "".join(f"{number:04d} " for number in range(100))
    prompts = prompts_from(InMemoryTokens(tokenizer.encode(text)), tokenizer, 5, 10)
    assert prompts[0] == "0000 0001 " and prompts[-1] == "0098 0099 " and len(prompts) == 5
    assert prompts_from(InMemoryTokens(tokenizer.encode("abc")), tokenizer, 5, 10) == ["abc"]


def test_prompts_stay_in_a_document_and_in_whole_characters():
    tokenizer = Tokenizer.bytes()
    ids = [*tokenizer.encode("fim."), tokenizer.end_of_text, *tokenizer.encode("É novo")]
    assert prompts_from(InMemoryTokens(ids), tokenizer, 1, 11) == ["É nov"]
    assert prompts_from(InMemoryTokens(tokenizer.encode("É")[1:] + [97]), tokenizer, 1, 2) == ["a"]


def test_prompts_of_a_file(tmp_path: Path):
    (tmp_path / "a.txt").write_text("Era uma vez\n\nO rei\n")
    (tmp_path / "a.jsonl").write_text('{"prompt": "Era"}\n')
    assert read_prompts(tmp_path / "a.txt") == ["Era uma vez", "O rei"]
    assert read_prompts(tmp_path / "a.jsonl") == ["Era"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", '{"prompt": "x"}\n{"p": 1}', "line 2"),
        ("a.jsonl", "x", "line 1"),
        ("a.txt", "\n", "is empty"),
    ],
)
def test_broken_prompts(tmp_path: Path, name, content, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(KgptError, match=words):
        read_prompts(tmp_path / name)


def test_no_prompts(tmp_path: Path):
    with pytest.raises(KgptError, match="nowhere"):
        read_prompts(tmp_path / "nowhere.txt")

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kgpt.errors import KgptError
from kgpt.text import sample_tokenizer
from kgpt.text.prepare import prepare
from kgpt.text.prepare_options import PrepareOptions
from kgpt.text.sample_tokenizer import train_on_sample
from kgpt.text.shards import Corpus
from kgpt.text.sources import describe_sources, expand_sources
from kgpt.text.tokenizer import Tokenizer

WORDS = "ação mar pão céu flor rio noite vento lua sol".split()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "lines.txt"
    lines = (f"{WORDS[index % 10]} {WORDS[index // 10 % 10]} {index}" for index in range(400))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def train(source: Path, said: list[str] | None = None, **options: Any) -> Tokenizer:
    described = describe_sources(expand_sources([source]))
    given = PrepareOptions(**{"documents": "line", "vocabulary_size": 300, **options})
    report = (said if said is not None else []).append
    return train_on_sample([source], described, source.parent / "sample", given, report)


def texts(source: Path, shard: tuple[int, int], **options: Any) -> list[str]:
    folder = source.parent / f"texts-{shard[1]}"
    prepare([source], folder, tokenizer="bytes", documents="line", shard=shard, **options)
    corpus = Corpus.open(folder)
    return corpus.tokenizer.decode(corpus.tokens("train")[:].tolist()).split("<|endoftext|>")


def test_a_small_corpus_is_its_own_sample(source: Path) -> None:
    expected = Tokenizer.train(texts(source, (1, 1)), 300)
    assert train(source).sha256 == expected.sha256


def test_a_sample_of_a_larger_one(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_tokenizer, "MEGABYTE", source.stat().st_size // 4)
    expected = Tokenizer.train(texts(source, (1, 4)), 300)
    assert train(source, tokenizer_sample=1).sha256 == expected.sha256
    assert train(source, tokenizer_sample=None).sha256 != expected.sha256


def test_of_a_sample_that_is_too_large_windows_are_taken(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = prepare(
        [source], source.parent / "s", tokenizer="bytes", documents="line", shard=(1, 1)
    )
    monkeypatch.setattr(sample_tokenizer, "WINDOW", 500)
    whole = "".join(sample_tokenizer._texts(sample, None))
    some = "".join(sample_tokenizer._texts(sample, sample.train_tokens // 3))
    assert len(some) == pytest.approx(len(whole) / 3, rel=0.2)
    assert some[-20:] not in whole[: len(whole) // 2]


def test_a_few_large_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_tokenizer, "MEGABYTE", 1000)
    (tmp_path / "books").mkdir()
    for index in range(3):
        (tmp_path / "books" / f"{index}.txt").write_text(f"{index} casa e mar " * 400)
    tokenizer = train(tmp_path / "books", documents="file", tokenizer_sample=1)
    assert "Ġcasa" in tokenizer.vocabulary


def test_options_reach_the_tokenizer(source: Path) -> None:
    tokenizer = train(source, special_tokens=["padding"], vocabulary_size=280, clean=["lower"])
    assert tokenizer.padding is not None
    assert tokenizer.vocabulary_size == 280
    other = train(source, pre_tokenization="gpt4")
    assert other.backend.to_str() != train(source).backend.to_str()
    said: list[str] = []
    assert train(source, said, vocabulary_size=100_000).vocabulary_size < 100_000
    assert "supports no more than" in said[-1]


def test_a_bad_size_is_said_before_anything_is_read(source: Path) -> None:
    with pytest.raises(KgptError, match="too small"):
        train(source, vocabulary_size=10)
    assert not (source.parent / "sample").exists()

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hard_text import TRAINING_TEXT

from kgpt.errors import KgptError
from kgpt.text.prepare import output_folder, prepare
from kgpt.text.shards import Corpus, Split

WORDS = ["casa", "mar", "rua", "sol", "lua", "rio", "pão", "mel", "céu", "flor"]


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """200 different lines of equal length, and 20 copies of the first."""
    path = tmp_path / "lines.txt"
    texts = [f"{index:03d} {WORDS[index % 10]:<5}" for index in range(200)]
    path.write_text("\n".join([*texts, *texts[:1] * 20]), encoding="utf-8")
    return path


@pytest.fixture
def call(lines: Path, tmp_path: Path) -> Callable[..., Corpus]:
    def prepare_lines(**options: Any) -> Corpus:
        given = {"tokenizer": "bytes", "documents": "line", **options}
        return prepare([lines], tmp_path / "out", overwrite=True, **given)

    return prepare_lines


def documents(corpus: Corpus, split: Split) -> list[str]:
    text = corpus.tokenizer.decode(corpus.tokens(split)[:].tolist())
    return text.removesuffix("<|endoftext|>").split("<|endoftext|>")


@pytest.mark.parametrize("validation", ["random", "tail"])
def test_no_document_is_on_both_sides(call: Callable[..., Corpus], validation: str) -> None:
    corpus = call(validation=validation, validation_fraction=0.2)
    train, held_out = documents(corpus, "train"), documents(corpus, "validation")
    assert not set(train) & set(held_out)
    assert len(train) + len(held_out) == corpus.documents == 220
    assert 0.08 < corpus.validation_bytes / (corpus.train_bytes + corpus.validation_bytes) <= 0.2


def test_the_tail_is_the_tail(call: Callable[..., Corpus]) -> None:
    held_out = documents(call(validation="tail", validation_fraction=0.2), "validation")
    assert [text[:3] for text in held_out] == [
        f"{index:03d}" for index in range(200 - len(held_out), 200)
    ]


def test_seed_fraction_and_validation_change_the_split(call: Callable[..., Corpus]) -> None:
    calls = [{}, {"seed": 2}, {"validation_fraction": 0.5}, {"validation": "tail"}]
    splits = [tuple(documents(call(**options), "validation")) for options in calls]
    assert len(set(splits)) == 4
    assert tuple(documents(call(), "validation")) == splits[0]


def test_a_single_document_is_cut_at_its_tail(tmp_path: Path) -> None:
    text = (TRAINING_TEXT * 3)[:10_001]
    (tmp_path / "play.txt").write_text(text, encoding="utf-8")
    corpus = prepare(
        [tmp_path / "play.txt"],
        tmp_path / "out",
        tokenizer="bytes",
        validation="tail",
        validation_fraction=0.1,
    )
    cut = int(len(text) * 0.9)
    assert bytes(corpus.tokens("train")[:].tolist()) == text[:cut].encode()
    assert bytes(corpus.tokens("validation")[:-1].tolist()) == text[cut:].encode()
    assert corpus.tokens("validation")[-1] == corpus.manifest["end_of_text"]
    assert corpus.train_tokens == corpus.train_bytes == len(text[:cut].encode())
    assert corpus.documents == 1


def test_the_tokenizer_is_trained_on_the_training_split_only(tmp_path: Path) -> None:
    texts = ["o mar e a casa"] * 9 + ["zebra zebra zebra zebra"]
    (tmp_path / "ten.txt").write_text("\n".join(texts))
    corpus = prepare(
        [tmp_path / "ten.txt"],
        tmp_path / "out",
        vocabulary_size=400,
        documents="line",
        validation="tail",
        validation_fraction=0.2,
    )
    vocabulary = corpus.tokenizer.vocabulary
    assert "Ġcasa" in vocabulary
    assert not any("z" in token and token != "z" for token in vocabulary)


def test_vocabulary_size(call: Callable[..., Corpus]) -> None:
    assert call(vocabulary_size=270, tokenizer=None).manifest["vocabulary_size"] == 270
    notes: list[str] = []
    large = call(vocabulary_size=5000, tokenizer=None, report=notes.append)
    assert 270 < large.manifest["vocabulary_size"] < 5000
    assert any("supports no more than" in note for note in notes)


def test_another_tokenizer_by_path(
    call: Callable[..., Corpus], trained: Any, tmp_path: Path
) -> None:
    trained.save(tmp_path / "mine")
    assert call(tokenizer=tmp_path / "mine").manifest["tokenizer_sha256"] == trained.sha256


def test_twice_is_once(lines: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    first = prepare([lines], tmp_path / "out", tokenizer="bytes", report=notes.append)
    inode = first.folder.stat().st_ino
    again = prepare([lines], tmp_path / "out", tokenizer="bytes", report=notes.append)
    assert again.folder.stat().st_ino == inode
    assert "Nothing has changed" in notes[-1]


def test_changes_are_named_and_replace_nothing_by_themselves(lines: Path, tmp_path: Path) -> None:
    first = prepare([lines], tmp_path / "out", tokenizer="bytes", documents="line")
    with pytest.raises(KgptError, match="seed was 1, is 2"):
        prepare([lines], tmp_path / "out", tokenizer="bytes", documents="line", seed=2)
    lines.write_text("um\ndois\ntrês", encoding="utf-8")
    with pytest.raises(KgptError, match=r"text has changed: .*lines.txt"):
        prepare([lines], tmp_path / "out", tokenizer="bytes", documents="line")
    assert Corpus.open(first.folder).documents == 220
    options: dict[str, Any] = {"tokenizer": "bytes", "documents": "line", "overwrite": True}
    assert prepare([lines], tmp_path / "out", **options).documents == 3


def test_damaged_data_is_named_and_can_be_replaced(
    call: Callable[..., Corpus], lines: Path
) -> None:
    corpus = call()
    (corpus.folder / "train-00000.bin").unlink()
    with pytest.raises(KgptError, match="missing"):
        prepare([lines], corpus.folder, tokenizer="bytes", documents="line")
    assert call().documents == 220


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_a_fraction_that_is_none(call: Callable[..., Corpus], fraction: float) -> None:
    with pytest.raises(KgptError, match="above 0 and below 1"):
        call(validation_fraction=fraction)


@pytest.mark.parametrize(("text", "documents_are"), [("x", "file"), ("x\nx\nx", "line")])
def test_too_little_text(tmp_path: Path, text: str, documents_are: Any) -> None:
    (tmp_path / "little.txt").write_text(text)
    with pytest.raises(KgptError, match="none can be held out"):
        prepare(
            [tmp_path / "little.txt"], tmp_path / "out", tokenizer="bytes", documents=documents_are
        )
    assert not (tmp_path / "out").exists()


def test_two_documents_are_one_on_each_side(tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_text("a short one\n\nand one that is much longer than it")
    for validation in ("random", "tail"):
        corpus = prepare(
            [tmp_path / "two.txt"],
            tmp_path / validation,
            tokenizer="bytes",
            documents="blank-line",
            validation=validation,  # type: ignore[arg-type]
        )
        assert len(documents(corpus, "train")) == len(documents(corpus, "validation")) == 1


def test_where_the_data_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGPT_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert output_folder(["a/books.v2.txt"], None) == tmp_path / "books.v2"
    assert output_folder(["a/books/*.txt"], None) == tmp_path / "books"
    assert output_folder(["encyclopedia"], None) == tmp_path / "encyclopedia"
    assert output_folder(["a.txt"], "name") == tmp_path / "name"
    assert output_folder(["a.txt"], "my book") == tmp_path / "my book"
    assert output_folder(["a.txt"], ".") == Path(".")
    assert output_folder(["a.txt"], "./name") == Path("name")
    assert output_folder(["a.txt"], "x/name") == Path("x/name")


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("a.txt", "um\ndois", {"clean": ["min-length=9"]}, "2 by min-length"),
        ("a.jsonl", "{\n[", {"on_error": "skip"}, "skipped"),
    ],
)
def test_when_nothing_is_left_the_reason_is_given(
    tmp_path: Path, name: str, content: str, options: dict[str, Any], message: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(KgptError, match=message):
        prepare([tmp_path / name], tmp_path / "out", tokenizer="bytes", documents="line", **options)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_cleaning_and_duplicates_are_counted(tmp_path: Path) -> None:
    lines = [f"linha {index} do texto" for index in range(20)]
    (tmp_path / "a.txt").write_text("\n".join([*lines, "curta", lines[3], lines[4], "LINHA 99 do"]))
    options: dict[str, Any] = {"tokenizer": "bytes", "documents": "line"}
    corpus = prepare(
        [tmp_path / "a.txt"],
        tmp_path / "out",
        clean=["min-length=8", "lower"],
        dedupe="exact",
        **options,
    )
    counts = corpus.manifest["counts"]
    assert (counts["read"], counts["dropped"]) == (24, {"min-length": 1})
    assert (counts["duplicates"], counts["removed_duplicates"], counts["kept"]) == (2, 2, 21)
    assert corpus.manifest["cleaning"] == {
        "min-length": {"changed": 0, "dropped": 1},
        "lower": {"changed": 1, "dropped": 0},
    }
    kept = documents(corpus, "train") + documents(corpus, "validation")
    assert sorted(kept) == sorted([*lines, "linha 99 do"])
    with_copies = prepare([tmp_path / "a.txt"], tmp_path / "all", **options)
    assert with_copies.manifest["counts"]["duplicates"] == 2 and with_copies.documents == 24


def test_weights_repeat_training_documents(tmp_path: Path) -> None:
    for name in ("a", "b"):
        lines = [f"{name} {index}" for index in range(100)]
        (tmp_path / f"{name}.txt").write_text("\n".join(lines))
    corpus = prepare(
        [tmp_path / "a.txt", tmp_path / "b.txt"],
        tmp_path / "out",
        tokenizer="bytes",
        documents="line",
        weights={"b.txt": 2.5},
        validation_fraction=0.1,
    )
    train = documents(corpus, "train")
    counts = {text: train.count(text) for text in train}
    assert {count for text, count in counts.items() if text.startswith("a")} == {1}
    twice = [count for text, count in counts.items() if text.startswith("b")]
    assert set(twice) == {2, 3} and 2.2 < sum(twice) / len(twice) < 2.8
    assert len(set(documents(corpus, "validation"))) == len(documents(corpus, "validation"))
    with pytest.raises(KgptError, match="none of 1 sources"):
        prepare([tmp_path / "a.txt"], tmp_path / "no", tokenizer="bytes", weights={"c.txt": 2})

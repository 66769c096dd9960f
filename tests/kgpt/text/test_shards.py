from __future__ import annotations

import json
import shutil
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hard_text import hard_text
from hypothesis import HealthCheck, given, settings

from kgpt.errors import KgptError, KgptFailure
from kgpt.text.shard_writer import Part, write_corpus
from kgpt.text.shards import Corpus
from kgpt.text.tokenizer import Tokenizer

PARTS = [Part("train", "uma casa"), Part("validation", "o mar"), Part("train", "a rua\n")]


@pytest.fixture
def corpus(byte_tokenizer: Tokenizer, tmp_path: Path) -> Corpus:
    return write_corpus(tmp_path / "corpus", byte_tokenizer, PARTS, shard_tokens=4)


def test_documents_are_followed_by_the_end_of_text(corpus: Corpus) -> None:
    train = [*b"uma casa", 256, *b"a rua\n", 256]
    assert corpus.tokens("train")[:].tolist() == train
    assert corpus.tokens("validation")[:].tolist() == [*b"o mar", 256]
    assert (corpus.train_tokens, corpus.validation_tokens, corpus.documents) == (16, 6, 3)
    assert (corpus.train_bytes, corpus.validation_bytes) == (14, 5)
    names = [shard["name"] for shard in corpus.manifest["shards"]]
    assert names[:2] == ["train-00000.bin", "train-00001.bin"]
    assert (corpus.folder / "train-00000.bin").read_bytes() == bytes([117, 0, 109, 0, 97, 0, 32, 0])
    assert corpus.tokenizer.encode("é") == [0xC3, 0xA9]
    corpus.verify()


def test_windows_and_slices_cross_shards(corpus: Corpus) -> None:
    tokens = corpus.tokens("train")
    whole = np.array(tokens)
    for start in range(len(tokens) + 1):
        for length in range(len(tokens) - start + 1):
            assert tokens.window(start, length).tolist() == whole[start : start + length].tolist()
    for key in (slice(None, None, 3), slice(-3, None), slice(None, None, -1), slice(12, 2, -4)):
        assert tokens[key].tolist() == whole[key].tolist()
    assert [int(token) for token in tokens] == whole.tolist()
    assert tokens[-1] == whole[-1]
    for start, length in ((-1, 2), (15, 2), (0, 17)):
        with pytest.raises(IndexError):
            tokens.window(start, length)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(documents=st.lists(hard_text.filter(bool), min_size=1, max_size=6), shard=st.integers(1, 50))
def test_what_goes_in_comes_out(
    trained: Tokenizer, tmp_path: Path, documents: list[str], shard: int
) -> None:
    shutil.rmtree(tmp_path / "corpus", ignore_errors=True)
    parts = [Part("train", text) for text in documents]
    corpus = write_corpus(tmp_path / "corpus", trained, parts, shard_tokens=shard)
    expected = b"".join(text.encode() + b"<|endoftext|>" for text in documents)
    assert trained.decode_bytes(corpus.tokens("train")[:].tolist()) == expected
    assert corpus.train_bytes == sum(len(text.encode()) for text in documents)
    assert len(corpus.tokens("validation")) == 0


def test_many_ids_take_four_bytes(tmp_path: Path) -> None:
    vocabulary = Tokenizer.bytes().vocabulary
    vocabulary |= {f"<extra {index}>": index for index in range(257, 65_536)}
    corpus = write_corpus(tmp_path / "corpus", Tokenizer(vocabulary, []), PARTS)
    assert corpus.manifest["dtype"] == "uint32"
    assert corpus.tokens("validation")[:].tolist() == [*b"o mar", 256]


def test_an_interrupted_writer_leaves_nothing_and_keeps_the_old(
    corpus: Corpus, byte_tokenizer: Tokenizer
) -> None:
    def parts() -> object:
        yield PARTS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_corpus(corpus.folder, byte_tokenizer, parts(), overwrite=True)
    assert [path.name for path in corpus.folder.parent.iterdir()] == ["corpus"]
    Corpus.open(corpus.folder).verify()


def test_overwrite(corpus: Corpus, byte_tokenizer: Tokenizer) -> None:
    with pytest.raises(KgptError, match="--overwrite"):
        write_corpus(corpus.folder, byte_tokenizer, PARTS[:1])
    assert write_corpus(corpus.folder, byte_tokenizer, PARTS[:1], overwrite=True).documents == 1
    assert [path.name for path in corpus.folder.parent.iterdir()] == ["corpus"]


def test_a_folder_of_something_else_is_never_replaced(
    byte_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(KgptError, match="not prepared data"):
        write_corpus(tmp_path, byte_tokenizer, PARTS, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_place_that_cannot_be_written_is_a_failure(
    byte_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KgptFailure):
        write_corpus(tmp_path / "file" / "corpus", byte_tokenizer, PARTS)


# === Opening what is not right ===


def test_no_data(tmp_path: Path) -> None:
    with pytest.raises(KgptError, match="kgpt prepare"):
        Corpus.open(tmp_path)
    with pytest.raises(KgptError, match="There is no"):
        Corpus.open(tmp_path / "missing")


def test_a_name_is_looked_up_in_the_data_folder(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KGPT_DATA", str(corpus.folder.parent))
    assert Corpus.open("corpus").folder == corpus.folder


@pytest.mark.parametrize(
    ("change", "message"),
    [({"format_version": 2}, "format version"), ({"shards": None}, "lacks shards")],
)
def test_another_manifest(corpus: Corpus, change: dict[str, object], message: str) -> None:
    manifest = {**corpus.manifest, **change}
    kept = {key: value for key, value in manifest.items() if value is not None}
    (corpus.folder / "manifest.json").write_text(json.dumps(kept))
    with pytest.raises(KgptError, match=message):
        Corpus.open(corpus.folder)


def test_a_cut_or_missing_shard(corpus: Corpus) -> None:
    shard = corpus.folder / "train-00001.bin"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(KgptError, match=r"train-00001.bin has 7 bytes, 8"):
        Corpus.open(corpus.folder)
    shard.unlink()
    with pytest.raises(KgptError, match=r"train-00001.bin is missing"):
        Corpus.open(corpus.folder)


def test_changed_content_and_a_changed_tokenizer(corpus: Corpus, trained: Tokenizer) -> None:
    (corpus.folder / "train-00001.bin").write_bytes(bytes(8))
    with pytest.raises(KgptError, match="content of train-00001.bin"):
        corpus.verify()
    trained.save(corpus.tokenizer_folder)
    with pytest.raises(KgptError, match="not the one"):
        _ = Corpus.open(corpus.folder).tokenizer

from __future__ import annotations

import json
from pathlib import Path

import hypothesis.strategies as st
import pytest
import tiktoken
from hard_text import END, TRAINING_TEXT, hard_text
from hypothesis import example, given, settings
from tokenizers import Tokenizer as HuggingFaceTokenizer

from kgpt.errors import KgptError
from kgpt.text.pieces import PIECE_LENGTH, pieces
from kgpt.text.tokenizer import Tokenizer, find_tokenizer

GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


@pytest.fixture(scope="module")
def peer(trained: Tokenizer) -> tiktoken.Encoding:
    """OpenAI's implementation, with the trained vocabulary."""
    ordinary = [token for token in range(trained.vocabulary_size) if token != trained.end_of_text]
    return tiktoken.Encoding(
        "peer",
        pat_str=GPT2_PATTERN,
        mergeable_ranks={trained.token_bytes(token): token for token in ordinary},
        special_tokens={END: trained.end_of_text},
    )


# === Ids and bytes ===


@settings(max_examples=1000, deadline=None)
@given(text=hard_text)
@example(text="")
@example(text="end.\n\nnext")
@example(text=END)
def test_same_ids_as_tiktoken(trained: Tokenizer, peer: tiktoken.Encoding, text: str) -> None:
    assert trained.encode(text) == peer.encode_ordinary(text)


@settings(max_examples=300, deadline=None)
@given(text=hard_text)
def test_decoding_gives_the_bytes_back(
    trained: Tokenizer, byte_tokenizer: Tokenizer, doubled: Tokenizer, text: str
) -> None:
    for tokenizer in (trained, byte_tokenizer, doubled):
        ids = tokenizer.encode(text)
        assert tokenizer.decode_bytes(ids) == text.encode()
        assert tokenizer.decode(ids) == text
        assert tokenizer.end_of_text not in ids


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(hard_text, max_size=5))
def test_a_batch_is_its_texts(trained: Tokenizer, texts: list[str]) -> None:
    assert trained.encode_batch(texts) == [trained.encode(text) for text in texts]


def test_a_long_text_is_cut_where_it_does_not_show(
    trained: Tokenizer, peer: tiktoken.Encoding
) -> None:
    text = TRAINING_TEXT * (4 * PIECE_LENGTH // len(TRAINING_TEXT))
    assert len(list(pieces(text))) > 2
    assert trained.encode(text) == peer.encode_ordinary(text)


def test_bytes_are_their_own_ids(byte_tokenizer: Tokenizer) -> None:
    assert byte_tokenizer.encode("Aé\n") == [65, 0xC3, 0xA9, 10]
    assert (byte_tokenizer.vocabulary_size, byte_tokenizer.end_of_text) == (257, 256)
    assert byte_tokenizer.merges == ()


def test_half_a_character_is_replaced_in_text_and_exact_in_bytes(byte_tokenizer: Tokenizer) -> None:
    assert byte_tokenizer.decode([65, 0xC3]) == "A\ufffd"
    assert byte_tokenizer.decode_bytes([65, 0xC3]) == b"A\xc3"


def test_merges_that_make_the_same_token(doubled: Tokenizer, tmp_path: Path) -> None:
    a, aa, aaa, aaaa, baaa = (
        doubled.vocabulary[token] for token in ("a", "aa", "aaa", "aaaa", "baaa")
    )
    assert doubled.encode("aaa") == [aaa]
    assert doubled.encode("aaaaa") == [aa, aaa]
    assert doubled.encode("baaa") == [baaa]
    assert doubled.encode("aaaa") == [aaaa]
    assert doubled.encode("a") == [a]
    doubled.save(tmp_path)
    assert Tokenizer.load(tmp_path).merges == doubled.merges


def test_a_lone_surrogate_is_a_clear_error(trained: Tokenizer) -> None:
    long_text = "a " * PIECE_LENGTH + "\udc80"
    for call in (
        lambda: trained.encode("ab\ud800"),
        lambda: trained.encode(long_text),
        lambda: trained.encode_batch(["fine", "\ud800"]),
        lambda: Tokenizer.train(["fine", "\ud800"], 300),
    ):
        with pytest.raises(KgptError, match="surrogate"):
            call()


@pytest.mark.parametrize("token", [-1, 257])
def test_an_id_out_of_range_is_a_clear_error(byte_tokenizer: Tokenizer, token: int) -> None:
    with pytest.raises(KgptError, match="0 to 256"):
        byte_tokenizer.decode([token])


# === Training ===


def test_training_lays_the_vocabulary_out_as_gpt2() -> None:
    tokenizer = Tokenizer.train([TRAINING_TEXT], 300)
    assert tokenizer.vocabulary_size == 300
    assert tokenizer.end_of_text == 299
    assert [tokenizer.token_bytes(token) for token in (0, 1, 220)] == [b"!", b'"', b" "]
    assert tokenizer.special_tokens == [END]
    assert len(tokenizer.encode(TRAINING_TEXT)) < len(TRAINING_TEXT.encode()) / 1.2


def test_training_is_repeatable_and_depends_on_the_size(trained: Tokenizer) -> None:
    assert Tokenizer.train(iter([TRAINING_TEXT]), 700).sha256 == trained.sha256
    assert Tokenizer.train([TRAINING_TEXT], 300).sha256 != trained.sha256


def test_a_small_text_gives_a_smaller_vocabulary() -> None:
    tokenizer = Tokenizer.train(["abab"], 5000)
    assert tokenizer.vocabulary_size == 258
    assert tokenizer.token_bytes(tokenizer.encode("ab")[0]) == b"ab"


def test_a_vocabulary_without_room_for_the_bytes_is_refused() -> None:
    with pytest.raises(KgptError, match="257"):
        Tokenizer.train([TRAINING_TEXT], 256)


# === Files ===


def test_saved_files_agree(
    trained: Tokenizer, byte_tokenizer: Tokenizer, doubled: Tokenizer, tmp_path: Path
) -> None:
    for index, tokenizer in enumerate((trained, byte_tokenizer, doubled)):
        folder = tmp_path / str(index)
        tokenizer.save(folder)
        assert sorted(path.name for path in folder.iterdir()) == [
            "merges.txt",
            "tokenizer.json",
            "vocabulary.json",
        ]
        assert Tokenizer.load(folder).sha256 == tokenizer.sha256
        assert Tokenizer.load(folder / "tokenizer.json").sha256 == tokenizer.sha256
        other = HuggingFaceTokenizer.from_file(str(folder / "tokenizer.json"))
        assert other.encode(TRAINING_TEXT).ids == tokenizer.encode(TRAINING_TEXT)
        assert other.token_to_id(END) == tokenizer.end_of_text
        assert other.decode(tokenizer.encode("Olá, João")) == "Olá, João"


def test_a_tokenizer_json_alone_never_gives_special_ids_for_text(
    trained: Tokenizer, tmp_path: Path
) -> None:
    trained.save(tmp_path)
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    assert loaded.end_of_text not in loaded.encode(f"a{END}b")
    assert loaded.decode(loaded.encode(f"a{END}b")) == f"a{END}b"


@pytest.mark.parametrize(
    ("vocabulary_name", "merges_name", "header"),
    [
        ("encoder.json", "vocab.bpe", "#version: 0.2\n"),
        ("vocab.json", "merges.txt", "#version: 0.2\n"),
        ("vocabulary.json", "merges.txt", ""),
    ],
)
def test_other_layouts(
    trained: Tokenizer, tmp_path: Path, vocabulary_name: str, merges_name: str, header: str
) -> None:
    (tmp_path / vocabulary_name).write_text(json.dumps(trained.vocabulary), encoding="utf-8")
    lines = "\r\n".join(" ".join(pair) for pair in trained.merges)
    (tmp_path / merges_name).write_text(header + lines, encoding="utf-8")
    assert Tokenizer.load(tmp_path).sha256 == trained.sha256


def test_a_run_or_data_folder_is_found_by_path_and_by_name(
    trained: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KGPT_DATA", str(tmp_path / "data"))
    trained.save(tmp_path / "runs" / "demo" / "tokenizer")
    trained.save(tmp_path / "data" / "books" / "tokenizer")
    assert Tokenizer.load(tmp_path / "runs" / "demo").sha256 == trained.sha256
    assert find_tokenizer("demo", tmp_path / "runs").sha256 == trained.sha256
    assert find_tokenizer("books").sha256 == trained.sha256
    assert find_tokenizer("bytes").vocabulary_size == 257


def _as_json(tokenizer: Tokenizer, tmp_path: Path, **changes: object) -> Path:
    tokenizer.save(tmp_path)
    values = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    model = changes.pop("model", {})
    values.update(changes)
    values["model"].update(model)
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normalizer": {"type": "NFC"}}, "normalises"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "pre-tokenizer"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}}, "pre-tokenizer"),
        ({"model": {"type": "Unigram"}}, "not BPE"),
        ({"model": {"ignore_merges": True}}, "whole words"),
        ({"model": {"merges": [["a", "b", "c"]]}}, "two tokens"),
        ({"model": {"merges": [["q", "zzzz"]]}}, "has no id"),
        ({"model": {"vocab": {"a": 0}}, "added_tokens": []}, "missing"),
    ],
)
def test_other_kinds_of_tokenizers_are_refused(
    byte_tokenizer: Tokenizer, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(KgptError, match=message):
        Tokenizer.load(_as_json(byte_tokenizer, tmp_path, **changes))


def test_ids_with_holes_are_refused(byte_tokenizer: Tokenizer) -> None:
    with pytest.raises(KgptError, match="ids are not"):
        Tokenizer({**byte_tokenizer.vocabulary, "ab": 300}, [("a", "b")])


@pytest.mark.parametrize("content", ["{", "[]", '{"a": "b"}'])
def test_a_damaged_vocabulary_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "vocabulary.json").write_text(content)
    (tmp_path / "merges.txt").write_text("")
    with pytest.raises(KgptError, match="vocabulary.json"):
        Tokenizer.load(tmp_path)


def test_no_tokenizer_there(tmp_path: Path) -> None:
    with pytest.raises(KgptError, match="no tokenizer in"):
        Tokenizer.load(tmp_path)
    with pytest.raises(KgptError, match="no folder"):
        Tokenizer.load(tmp_path / "missing")

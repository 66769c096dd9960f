"""Pre-tokenizations, special tokens and the files that say so."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest
import tiktoken
from hard_text import END, HARD, TRAINING_TEXT
from tokenizers import Tokenizer as HuggingFaceTokenizer

from kgpt.errors import KgptError
from kgpt.text.pretokenization import PRE_TOKENIZATIONS
from kgpt.text.tokenizer import Tokenizer, find_tokenizer

# === Pre-tokenization ===


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gpt2", ["IT", "'", "S", " 12345", " disse", "-", "lhe", ".", "\n", "\n", "x"]),
        ("gpt4", ["IT", "'S", " ", "123", "45", " disse", "-lhe", ".\n\n", "x"]),
        ("portuguese", ["IT", "'S", " 123", "45", " disse", "-lhe", ".\n\n", "x"]),
    ],
)
def test_words(name: str, words: list[str]) -> None:
    assert PRE_TOKENIZATIONS[name].words(["".join(words)]) == words


def test_pre_tokenization_changes_the_merges_and_stays_in_the_files(tmp_path: Path) -> None:
    found = {}
    for name in PRE_TOKENIZATIONS:
        tokenizer = Tokenizer.train([TRAINING_TEXT], 700, pre_tokenization=name)
        tokenizer.save(tmp_path / name)
        for path in (tmp_path / name, tmp_path / name / "tokenizer.json"):
            again = Tokenizer.load(path)
            assert (again.pre_tokenization, again.sha256) == (name, tokenizer.sha256)
            assert again.encode_batch(HARD) == tokenizer.encode_batch(HARD)
        found[name] = (tokenizer.sha256, tokenizer.merges)
    assert len({sha256 for sha256, _ in found.values()}) == len(found)
    assert len({merges for _, merges in found.values()}) == len(found)


def test_the_name_alone_makes_another_tokenizer(trained: Tokenizer) -> None:
    other = Tokenizer(trained.vocabulary, trained.merges, "gpt4")
    assert other.sha256 != trained.sha256
    assert Tokenizer(trained.vocabulary, trained.merges, "gpt2").sha256 == trained.sha256


def test_the_identity_of_gpt2s_kind_is_what_runs_have_stored(byte_tokenizer: Tokenizer) -> None:
    expected = "21129e9db15144218db2b418d7d905f5125d942f6779ed8513cccf39c28ef940"
    assert byte_tokenizer.sha256 == expected


def test_without_a_tokenizer_json_text_is_cut_as_by_gpt2(tmp_path: Path) -> None:
    Tokenizer.train([TRAINING_TEXT], 700, pre_tokenization="gpt4").save(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    assert Tokenizer.load(tmp_path).pre_tokenization == "gpt2"


def test_an_unknown_pre_tokenization_is_a_clear_error(trained: Tokenizer) -> None:
    with pytest.raises(KgptError, match="gpt2, gpt4, portuguese"):
        Tokenizer.train([TRAINING_TEXT], 700, pre_tokenization="gpt5")
    with pytest.raises(KgptError, match="gpt5"):
        Tokenizer(trained.vocabulary, trained.merges, "gpt5")


def _json_with(folder: Path, pre_tokenizer: object) -> Path:
    Tokenizer.train([TRAINING_TEXT], 300).save(folder)
    values = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    values["pre_tokenizer"] = pre_tokenizer
    path = folder / "other.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


def _split(pattern: object, behavior: str = "Isolated", invert: bool = False) -> dict[str, object]:
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
GPT2_BYTES = {**BYTES, "use_regex": True}
GPT4_PATTERN = {"Regex": PRE_TOKENIZATIONS["gpt4"].pattern}
TIKTOKEN_GPT2 = {
    "Regex": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
}


def _sequence(*steps: object) -> dict[str, object]:
    return {"type": "Sequence", "pretokenizers": list(steps)}


@pytest.mark.parametrize(
    ("pre_tokenizer", "name"),
    [
        (GPT2_BYTES, "gpt2"),
        (_sequence(GPT2_BYTES), "gpt2"),
        (_sequence(_split({"Regex": PRE_TOKENIZATIONS["gpt2"].pattern}), BYTES), "gpt2"),
        (_sequence(_split(GPT4_PATTERN), BYTES), "gpt4"),
        (_sequence(_sequence(_split(GPT4_PATTERN, "Removed", True)), BYTES), "gpt4"),
    ],
)
def test_other_ways_to_write_a_pre_tokenizer(
    tmp_path: Path, pre_tokenizer: object, name: str
) -> None:
    path = _json_with(tmp_path, pre_tokenizer)
    tokenizer = Tokenizer.load(path)
    assert tokenizer.pre_tokenization == name
    peer = HuggingFaceTokenizer.from_file(str(path))
    peer.encode_special_tokens = True
    assert [peer.encode(text).ids for text in HARD] == tokenizer.encode_batch(HARD)


@pytest.mark.parametrize(
    "pre_tokenizer",
    [
        None,
        BYTES,
        "ByteLevel",
        _sequence(),
        _sequence({"type": "Digits", "individual_digits": True}, GPT2_BYTES),
        _sequence(_split(GPT4_PATTERN, "Removed"), BYTES),
        _sequence(_split(GPT4_PATTERN), GPT2_BYTES),
        _sequence(_split({"String": PRE_TOKENIZATIONS["gpt4"].pattern}), BYTES),
        _sequence(_split(TIKTOKEN_GPT2), BYTES),
        _sequence(_split({"Regex": r"\p{N}"}), BYTES),
    ],
)
def test_what_is_cut_otherwise_is_refused(tmp_path: Path, pre_tokenizer: object) -> None:
    with pytest.raises(KgptError, match="pre-tokenizer"):
        Tokenizer.load(_json_with(tmp_path, pre_tokenizer))


# === Special tokens ===


@pytest.fixture(scope="module")
def chat() -> Tokenizer:
    return Tokenizer.train(
        [TRAINING_TEXT], 400, special_tokens=["padding", "begin_of_text", "<|end|>", "<|end|>", END]
    )


def test_special_tokens_follow_the_end_of_text(chat: Tokenizer, trained: Tokenizer) -> None:
    assert chat.vocabulary_size == 400
    assert chat.special_tokens == [END, "<|padding|>", "<|begin_of_text|>", "<|end|>"]
    assert (chat.end_of_text, chat.padding, chat.begin_of_text) == (396, 397, 398)
    assert (trained.padding, trained.begin_of_text) == (None, None)
    assert chat.sha256 != trained.sha256


def test_text_becomes_a_special_token_only_if_asked(chat: Tokenizer) -> None:
    text = f"Olá<|end|>{END}<|padding|><|user|> fim"
    assert max(chat.encode(text)) < chat.end_of_text
    ids = chat.encode(text, special=True)
    assert ids == [
        *chat.encode("Olá"),
        chat.vocabulary["<|end|>"],
        chat.end_of_text,
        397,
        *chat.encode("<|user|> fim"),
    ]
    assert chat.decode(ids) == text
    assert chat.encode("", special=True) == []


def test_special_tokens_stay_in_the_files(chat: Tokenizer, tmp_path: Path) -> None:
    chat.save(tmp_path)
    peer = HuggingFaceTokenizer.from_file(str(tmp_path / "tokenizer.json"))
    text = f"Olá<|end|>{END}casa"
    assert peer.encode(text).ids == chat.encode(text, special=True)
    (tmp_path / "tokenizer.json").unlink()
    again = Tokenizer.load(tmp_path)
    assert (again.sha256, again.special_tokens) == (chat.sha256, chat.special_tokens)


@pytest.mark.parametrize("name", ["pad", "", "<|a b|>", "<||>", "x<|a|>"])
def test_what_is_no_special_token_is_refused(name: str) -> None:
    with pytest.raises(KgptError, match="padding"):
        Tokenizer.train([TRAINING_TEXT], 700, special_tokens=[name])


def test_sizes_that_cannot_be(trained: Tokenizer) -> None:
    with pytest.raises(KgptError, match="259"):
        Tokenizer.train([TRAINING_TEXT], 258, special_tokens=["padding", "user"])
    with pytest.raises(KgptError, match="131,072"):
        Tokenizer.train([TRAINING_TEXT], 131_073)


def test_wide_ids(byte_tokenizer: Tokenizer) -> None:
    """Ids beyond 65,535 need four bytes."""
    vocabulary = dict(byte_tokenizer.vocabulary)
    vocabulary |= {f"<|filler_{index}|>": 257 + index for index in range(65_536)}
    vocabulary["ab"] = len(vocabulary)
    wide = Tokenizer(vocabulary, [("a", "b")])
    assert (byte_tokenizer.dtype, wide.dtype) == (np.dtype("<u2"), np.dtype("<u4"))
    assert np.frombuffer(wide.encode_bytes("cab"), wide.dtype).tolist() == [99, 65_793]
    assert wide.encode("cab " * 1000) == [99, 65_793, 32] * 1000


# === tiktoken's files ===


def _tiktoken_file(tokenizer: Tokenizer, path: Path) -> dict[bytes, int]:
    ranks = {tokenizer.token_bytes(token): token for token in range(tokenizer.end_of_text)}
    lines = [f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items()]
    path.write_text("".join(lines), encoding="ascii")
    return ranks


@pytest.mark.parametrize(
    ("name", "rule"), [("r50k_base", "gpt2"), ("gpt2", "gpt2"), ("cl100k_base", "gpt4")]
)
def test_tiktoken_files(tmp_path: Path, name: str, rule: str) -> None:
    original = Tokenizer.train([TRAINING_TEXT], 700, pre_tokenization=rule)
    path = tmp_path / f"{name}.tiktoken"
    ranks = _tiktoken_file(original, path)
    for place in (path, tmp_path):
        loaded = Tokenizer.load(place)
        assert (loaded.sha256, loaded.merges) == (original.sha256, original.merges)
    pattern = PRE_TOKENIZATIONS[rule].pattern
    peer = tiktoken.Encoding("x", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    assert loaded.encode_batch(HARD) == peer.encode_ordinary_batch(HARD)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [*lines, "YWJj"], "line 431: expected a token"),
        (lambda lines: ["?? 0", *lines[1:]], "line 1: expected a token"),
        (lambda lines: lines[:-2] + lines[-1:], "ranks are not"),
        (lambda lines: lines[1:], "ranks are not"),
        (lambda lines: [*lines, f"{base64.b64encode(b'qzx').decode()} 430"], "no two tokens"),
        (lambda lines: [line for line in lines if line[-3:] in (" 0", " 1")], "missing"),
    ],
)
def test_damaged_tiktoken_files(trained: Tokenizer, tmp_path: Path, change, message: str) -> None:
    path = tmp_path / "gpt2.tiktoken"
    _tiktoken_file(trained, path)
    lines = path.read_text(encoding="ascii").splitlines()
    path.write_text("\n".join(change(lines)), encoding="ascii")
    with pytest.raises(KgptError, match=message):
        Tokenizer.load(path)


def test_a_tiktoken_file_of_another_name_is_refused(trained: Tokenizer, tmp_path: Path) -> None:
    _tiktoken_file(trained, tmp_path / "mine.tiktoken")
    with pytest.raises(KgptError, match="cl100k_base.tiktoken"):
        Tokenizer.load(tmp_path / "mine.tiktoken")


# === Other files and names ===


def test_added_tokens_that_text_becomes_are_refused(trained: Tokenizer, tmp_path: Path) -> None:
    trained.save(tmp_path)
    path = tmp_path / "tokenizer.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values["added_tokens"][0]["special"] = False
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(KgptError, match="not special"):
        Tokenizer.load(path)


def test_a_name_that_nothing_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGPT_DATA", str(tmp_path / "data"))
    with pytest.raises(KgptError) as caught:
        find_tokenizer("nope", tmp_path / "runs")
    assert "nothing called nope" in caught.value.message
    assert str(tmp_path / "data" / "nope") in caught.value.message
    assert all(word in caught.value.hint for word in ("bytes", "gpt2", "kgpt runs", ".tiktoken"))

"""The files that a byte-level BPE tokenizer may come in, read into a vocabulary and its merges.

In: a run folder, a data folder, a folder with one of the layouts below, a `tokenizer.json`, or a `.tiktoken` file. Out:
token to id, the pairs to merge in their order, and how text is cut into words.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.text.pretokenization import GPT2, PRE_TOKENIZATIONS, recognise
from kgpt.text.tiktoken_files import read_tiktoken


@dataclass(frozen=True)
class Definition:
    """What makes a tokenizer."""

    vocabulary: dict[str, int]
    merges: list[tuple[str, str]]
    pre_tokenization: str = GPT2.name


LAYOUTS = (
    ("vocabulary.json", "merges.txt"),  # keras-nlp and kgpt
    ("encoder.json", "vocab.bpe"),  # OpenAI's GPT-2
    ("vocab.json", "merges.txt"),  # transformers' GPT-2
)


def read_definition(path: Path) -> Definition:
    """The vocabulary and merges found at `path`.

    Raises:
        KgptError: nothing is there, it cannot be read, or it is another kind of tokenizer.
    """
    try:
        return _find(path)
    except OSError as error:
        raise _unreadable(path, str(error)) from None


def _find(path: Path) -> Definition:
    for folder in (path / "tokenizer", path):
        for vocabulary, merges in LAYOUTS:
            if (folder / vocabulary).is_file() and (folder / merges).is_file():
                return Definition(
                    _read_vocabulary(folder / vocabulary),
                    _read_merges(folder / merges),
                    _pre_tokenization_beside(folder / "tokenizer.json"),
                )
        if (folder / "tokenizer.json").is_file():
            return _read_tokenizer_json(folder / "tokenizer.json")
        found = sorted(folder.glob("*.tiktoken"))
        if len(found) == 1:
            return Definition(*read_tiktoken(found[0]))
    if path.is_file() and path.suffix == ".tiktoken":
        return Definition(*read_tiktoken(path))
    if path.is_file():
        return _read_tokenizer_json(path)
    raise KgptError(
        _("No tokenizer found"),
        _("There is no tokenizer in {path}.", path=path)
        if path.exists()
        else _("There is no folder {path}.", path=path),
        _(
            "Give a run, a folder made by `kgpt prepare`, a folder with vocabulary.json and "
            "merges.txt, encoder.json and vocab.bpe, or tokenizer.json, or a .tiktoken file."
        ),
    )


def _read_vocabulary(path: Path) -> dict[str, int]:
    values = _read_json(path)
    if not all(type(value) is int for value in values.values()):
        raise _unreadable(path, _("not every token has a whole number as its id"))
    return values


def _read_merges(path: Path) -> list[tuple[str, str]]:
    lines = _read_text(path).replace("\r\n", "\n").split("\n")
    if lines[0].startswith("#version"):
        lines = lines[1:]
    return [_pair(line, path) for line in lines if line]


def _read_tokenizer_json(path: Path) -> Definition:
    values = _read_json(path)
    model = values.get("model") or {}
    rule = _require_known(values, model, path)
    try:
        added = {item["content"]: item["id"] for item in values.get("added_tokens") or []}
        ordinary = [
            item["content"] for item in values.get("added_tokens") or [] if not item["special"]
        ]
        merges = [_pair(merge, path) for merge in model["merges"]]
        vocabulary = {**model["vocab"], **added}
    except (KeyError, TypeError, AttributeError):
        raise _unreadable(path, _("its vocabulary, merges or added tokens are damaged")) from None
    if not all(type(value) is int for value in vocabulary.values()):
        raise _unreadable(path, _("not every token has a whole number as its id"))
    if ordinary:
        raise _another_kind(
            path,
            _("text becomes added tokens that are not special: {ordinary}", ordinary=ordinary[:3]),
        )
    return Definition(vocabulary, merges, rule)


def _pre_tokenization_beside(path: Path) -> str:
    """What the `tokenizer.json` beside a vocabulary and merges says about words; these files themselves say nothing."""
    if not path.is_file():
        return GPT2.name
    values = _read_json(path)
    return _require_known(values, values.get("model") or {}, path)


def _require_known(values: dict[str, Any], model: dict[str, Any], path: Path) -> str:
    """The name of the pre-tokenization; refuses what else the ids of plain text would depend on."""
    rule = recognise(values.get("pre_tokenizer"))
    checks = {
        _("its model is not BPE"): model.get("type", "BPE") != "BPE",
        _("it falls back to bytes"): bool(model.get("byte_fallback")),
        _("it takes whole words before merging"): bool(model.get("ignore_merges")),
        _("it marks the ends of words"): bool(
            model.get("end_of_word_suffix") or model.get("continuing_subword_prefix")
        ),
        _("it normalises the text"): values.get("normalizer") is not None,
        _("its pre-tokenizer is none of these"): rule is None,
    }
    for reason, holds in checks.items():
        if holds:
            raise _another_kind(path, reason)
    return rule.name if rule else GPT2.name


def _another_kind(path: Path, reason: str) -> KgptError:
    return KgptError(
        _("Another kind of tokenizer"),
        _(
            "kgpt reads byte-level BPE with one of the pre-tokenizations "
            "{pre_tokenizations}, but in {path} {reason}.",
            pre_tokenizations=", ".join(PRE_TOKENIZATIONS),
            path=path,
            reason=reason,
        ),
        _("Train one on your text with `kgpt prepare --vocab-size N`."),
    )


def _pair(merge: str | list[str], path: Path) -> tuple[str, str]:
    parts = merge.split(" ") if isinstance(merge, str) else merge
    if len(parts) != 2 or not all(parts):
        raise _unreadable(
            path, _("expected two tokens in each merge, received {merge!r}", merge=merge)
        )
    return parts[0], parts[1]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(_read_text(path))
    except ValueError as error:
        raise _unreadable(path, str(error)) from None
    if not isinstance(values, dict):
        raise _unreadable(path, _("expected a JSON object"))
    return values


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(error)) from None


def _unreadable(path: Path, reason: str) -> KgptError:
    return KgptError(
        _("Unreadable tokenizer"),
        f"{path}: {reason}.",
        _(
            "Restore the file, or name another: a folder with a tokenizer, tokenizer.json, or "
            "NAME.tiktoken."
        ),
    )

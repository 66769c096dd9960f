"""tiktoken's files: a token and its rank a line, and neither merges nor a pattern.

In: a `.tiktoken` file. Out: the vocabulary and merges it stands for. A rank is an id, and says when a pair that makes
the token is merged. Every token is made of the two that lower ranks leave of its bytes, so these are its merge.

How text is cut into words is known by the file's name. Special tokens are those that OpenAI gives the encoding; ids
between them that have no meaning become `<|reserved_ID|>`.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path

from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.text.byte_symbols import spelled
from kgpt.text.pretokenization import GPT2, GPT4
from kgpt.text.special_tokens import END_OF_TEXT


@dataclass(frozen=True)
class _Encoding:
    pre_tokenization: str
    special: dict[str, int]


_GPT2 = _Encoding(GPT2.name, {END_OF_TEXT: 50256})
_CL100K = _Encoding(
    GPT4.name,
    {
        END_OF_TEXT: 100257,
        "<|fim_prefix|>": 100258,
        "<|fim_middle|>": 100259,
        "<|fim_suffix|>": 100260,
        "<|endofprompt|>": 100276,
    },
)
_ENCODINGS = {"gpt2": _GPT2, "r50k_base": _GPT2, "cl100k_base": _CL100K}


def read_tiktoken(path: Path) -> tuple[dict[str, int], list[tuple[str, str]], str]:
    """Vocabulary, merges and the name of the pre-tokenization.

    Raises:
        KgptError: the file is damaged, has tokens that merges cannot make, or is of an encoding that is not known.
    """
    encoding = _ENCODINGS.get(path.stem)
    if encoding is None:
        raise KgptError(
            _("Unknown encoding"),
            _(
                "Expected {encodings}: a .tiktoken file does not say how text is cut into words, its "
                "name does. Received: {name}",
                encodings=", ".join(f"{name}.tiktoken" for name in _ENCODINGS),
                name=path.name,
            ),
            _("Rename the file if it is one of these, or give a tokenizer.json instead."),
        )
    ranks = _read_ranks(path)
    vocabulary = {spelled(token): rank for token, rank in ranks.items()}
    merges = [_parts(token, ranks, path) for token in ranks if len(token) > 1]
    # A vocabulary that is not OpenAI's has its end of text where GPT-2 has it: after everything else.
    first = min(encoding.special.values())
    special = encoding.special if len(ranks) in (first, first - 1) else {END_OF_TEXT: len(ranks)}
    named = {token: name for name, token in special.items()}
    for token in range(len(ranks), max(named) + 1):
        vocabulary[named.get(token, f"<|reserved_{token}|>")] = token
    return vocabulary, merges, encoding.pre_tokenization


def _read_ranks(path: Path) -> dict[bytes, int]:
    """Token to rank, by rank."""
    ranks: dict[bytes, int] = {}
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise _unreadable(path, str(error)) from None
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error):
            raise _unreadable(
                path,
                _(
                    "line {number}: expected a token in base64 and its rank, received {line!r}",
                    number=number,
                    line=line[:60],
                ),
            ) from None
    ranks = dict(sorted(ranks.items(), key=lambda item: item[1]))
    if list(ranks.values()) != list(range(len(ranks))):
        raise _unreadable(
            path,
            _("its {count} ranks are not 0 to {last}", count=len(ranks), last=len(ranks) - 1),
        )
    missing = sum(bytes([byte]) not in ranks for byte in range(256))
    if missing:
        raise _unreadable(path, _("{missing} of the 256 single bytes are missing", missing=missing))
    return ranks


def _parts(token: bytes, ranks: dict[bytes, int], path: Path) -> tuple[str, str]:
    """The two tokens that merges of lower rank leave of `token`."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        pairs = [ranks.get(parts[i] + parts[i + 1], ranks[token]) for i in range(len(parts) - 1)]
        best = min(pairs)
        if best >= ranks[token]:
            break
        place = pairs.index(best)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    if len(parts) != 2:
        raise _unreadable(
            path, _("no two tokens of lower rank make the token {token!r}", token=token)
        )
    return spelled(parts[0]), spelled(parts[1])


def _unreadable(path: Path, reason: str) -> KgptError:
    return KgptError(_("Unreadable tokenizer"), f"{path}: {reason}.", _("Restore the file."))

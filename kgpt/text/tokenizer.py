"""Text to token ids and back: GPT-2's byte-level byte-pair encoding.

In: a folder with a vocabulary and its merges, or texts to train one on. Out: ids for text, bytes for ids, and the
three files that define the tokenizer (`vocabulary.json`, `merges.txt`, `tokenizer.json`). The work is done by
`tokenizers` (Rust); nothing here loads TensorFlow.

A vocabulary is laid out as GPT-2's: 256 single bytes, a token for each merge, and `<|endoftext|>`, which has the last
id unless more special tokens were asked for: these follow it, in the order they were named. Two merges may make the
same token, so a merge's rank says nothing about the id of what it makes.

`vocabulary.json` and `merges.txt` do not say how text is cut into words. `tokenizer.json` beside them does; without it,
it is cut as by GPT-2.
"""

from __future__ import annotations

import builtins
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models

from kgpt.errors import KgptError
from kgpt.files import write_atomically
from kgpt.language import _
from kgpt.runs import data_folder, saved_models_folder
from kgpt.text.byte_symbols import BYTE_OF, BYTE_SYMBOLS, bytes_of, spelled_words
from kgpt.text.pieces import reject_surrogates
from kgpt.text.pretokenization import GPT2
from kgpt.text.pretokenization import pre_tokenization as _rule
from kgpt.text.special_tokens import BEGIN_OF_TEXT, END_OF_TEXT, PADDING, special_literals
from kgpt.text.tokenizer_files import read_definition
from kgpt.text.tokenizer_training import learn

if TYPE_CHECKING:  # NumPy is loaded by what needs it: a short prompt does not
    import numpy as np

    from kgpt.text.encoder import Encoder

PROMPT_LENGTH = 1 << 11
"""Characters up to which text is encoded without the tables of `encoder`, which take a moment to make."""


class Tokenizer:
    """A byte-level BPE tokenizer; immutable.

    Text does not become a special token by itself: `<|endoftext|>` inside a text is encoded as the characters it
    consists of, unless `encode` is asked for special tokens.

    Raises:
        KgptError: the vocabulary lacks a byte, the end-of-text token or a merge's parts, its ids have holes, or there
            is no such pre-tokenization.
    """

    def __init__(
        self,
        vocabulary: Mapping[str, int],
        merges: Sequence[tuple[str, str]],
        pre_tokenization: str = GPT2.name,
    ) -> None:
        self.vocabulary = dict(sorted(vocabulary.items(), key=lambda item: item[1]))
        """Token (in byte symbols) to id, by id."""
        self.merges = tuple(merges)
        """Pairs of tokens, the first to be merged first."""
        self._rule = _rule(pre_tokenization)
        self._check()
        self.end_of_text = self.vocabulary[END_OF_TEXT]
        """Id of `<|endoftext|>`."""
        self.padding = self.vocabulary.get(PADDING)
        """Id of `<|padding|>`; None where the vocabulary has none."""
        self.begin_of_text = self.vocabulary.get(BEGIN_OF_TEXT)
        """Id of `<|begin_of_text|>`; None where the vocabulary has none."""
        backend = Backend(models.BPE(vocab=self.vocabulary, merges=list(self.merges)))
        backend.pre_tokenizer = self._rule.backend()
        backend.decoder = decoders.ByteLevel()
        self.backend = backend
        """The Rust tokenizer. It knows of no special tokens."""

    def _check(self) -> None:
        if list(self.vocabulary.values()) != list(range(len(self.vocabulary))):
            raise _broken(
                _(
                    "its {count} ids are not 0 to {last}",
                    count=len(self.vocabulary),
                    last=len(self.vocabulary) - 1,
                )
            )
        missing = [token for token in (*BYTE_SYMBOLS, END_OF_TEXT) if token not in self.vocabulary]
        if missing:
            raise _broken(
                _(
                    "{count} tokens that every text may need are missing: {missing}",
                    count=len(missing),
                    missing=missing[:5],
                )
            )
        for left, right in self.merges:
            for token in (left, right, left + right):
                if token not in self.vocabulary:
                    raise _broken(
                        _(
                            "the merge {left!r} {right!r} needs {token!r}, which has no id",
                            left=left,
                            right=right,
                            token=token,
                        )
                    )

    # === Making one ===

    @classmethod
    def bytes(cls) -> Tokenizer:
        """The tokenizer whose ids 0 to 255 are the bytes of UTF-8, and 256 the end of text; it has no merges."""
        return cls({**BYTE_OF, END_OF_TEXT: 256}, [])

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocabulary_size: int,
        *,
        pre_tokenization: str = GPT2.name,
        special_tokens: Sequence[str] = (),
    ) -> Tokenizer:
        """The tokenizer with the merges most frequent in `texts`.

        Its vocabulary is smaller than `vocabulary_size` where the texts hold too few pairs that occur twice.

        Args:
            texts: what to count; read once.
            vocabulary_size: ids at most, special tokens included; 131,072 at most.
            pre_tokenization: how text is cut into words, one of `PRE_TOKENIZATIONS`.
            special_tokens: those wanted besides the end of text: names of `special_tokens.NAMED`, or literals such as
                `<|tool|>`. Their ids follow the end of text's, in this order.

        Raises:
            KgptError: the size leaves no room for the 256 bytes and the special tokens, or is too large; a special
                token or the pre-tokenization is unknown; or a text holds a lone surrogate.
        """
        rule = _rule(pre_tokenization)
        special = (END_OF_TEXT, *special_literals(special_tokens))
        return cls(*learn(texts, vocabulary_size, rule, special), rule.name)

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """The tokenizer of a run, of a data folder, or in a folder.

        Reads `vocabulary.json` + `merges.txt`, GPT-2's `encoder.json` + `vocab.bpe`, `vocab.json` + `merges.txt`,
        `tokenizer.json`, or the only `.tiktoken` file, in this order; and `tokenizer.json` and `.tiktoken` by path.

        Raises:
            KgptError: there is none, it is damaged, or it is no byte-level BPE with a pre-tokenization that is known.
        """
        definition = read_definition(Path(path))
        return cls(definition.vocabulary, definition.merges, definition.pre_tokenization)

    def save(self, folder: str | Path) -> None:
        """Write `vocabulary.json`, `merges.txt` (both as keras-nlp does) and `tokenizer.json` (for transformers).

        transformers follows `tokenizer.json` in taking `<|endoftext|>` inside a text for the special token; kgpt never
        does.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        vocabulary = json.dumps(self.vocabulary, ensure_ascii=False, indent=0)
        write_atomically(folder / "vocabulary.json", vocabulary + "\n")
        merges = "".join(f"{left} {right}\n" for left, right in self.merges)
        write_atomically(folder / "merges.txt", merges)
        exported = Backend.from_str(self.backend.to_str())
        exported.add_special_tokens(self.special_tokens)
        write_atomically(folder / "tokenizer.json", exported.to_str(pretty=True) + "\n")

    # === Using it ===

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """The ids of `text`; with `special`, special tokens written out in it become their ids.

        Raises:
            KgptError: it holds half of a surrogate pair, which no UTF-8 can express.
        """
        if special:
            return [
                token for part in self._special_pattern.split(text) for token in self._part(part)
            ]
        if len(text) > PROMPT_LENGTH:
            ids: list[int] = self._encode_all([text])[0].tolist()
            return ids
        found = _with_clear_errors(
            lambda: self.backend.encode(text, add_special_tokens=False), [text]
        )
        return list(found.ids)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text.

        Raises:
            KgptError: as `encode`.
        """
        if sum(map(len, texts)) <= PROMPT_LENGTH:
            return [self.encode(text) for text in texts]
        ids, counts = self._encode_all(texts)
        return [part.tolist() for part in _parts(ids, counts)]

    def encode_bytes(self, text: str) -> builtins.bytes:
        """The ids of `text` as a shard holds them: one after the other, each in `dtype`.

        Raises:
            KgptError: as `encode`.
        """
        ids: builtins.bytes = self._encode_all([text])[0].tobytes()
        return ids

    def encode_batch_bytes(self, texts: Sequence[str]) -> list[builtins.bytes]:
        """As `encode_bytes`, for many texts at once, which is much faster if they are short.

        Raises:
            KgptError: as `encode`.
        """
        return [part.tobytes() for part in _parts(*self._encode_all(texts))]

    def _encode_all(self, texts: Sequence[str]) -> tuple[Any, list[int]]:
        """The ids of all texts in a row, and how many each has."""
        ids, counts = _with_clear_errors(lambda: self._encoder.encode(texts), texts)
        return ids, counts

    def _part(self, text: str) -> list[int]:
        """The ids of a special token, or of text that holds none."""
        token = self._special_ids.get(text)
        return self.encode(text) if token is None else [token]

    @cached_property
    def _encoder(self) -> Encoder:
        from kgpt.text.encoder import Encoder

        return Encoder(self._merge, self._rule, self.dtype)

    def _merge(self, words: Sequence[str]) -> Iterator[list[int]]:
        """The ids of each word."""
        merge = self.backend.model.tokenize
        for word in spelled_words(words):
            yield [token.id for token in merge(word)]

    def decode_bytes(self, ids: Iterable[int]) -> builtins.bytes:
        """The exact bytes of `ids`.

        Raises:
            KgptError: an id is not in the vocabulary.
        """
        return b"".join(map(self.token_bytes, ids))

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; bytes that are no UTF-8, such as half a character, become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def token_bytes(self, token: int) -> builtins.bytes:
        """The bytes of one id.

        Raises:
            KgptError: it is not in the vocabulary.
        """
        if not 0 <= token < self.vocabulary_size:
            raise KgptError(
                _("Token id out of range"),
                _(
                    "Expected 0 to {vocabulary_size}. Received: {token}",
                    vocabulary_size=self.vocabulary_size - 1,
                    token=token,
                ),
                _("Decode ids with the tokenizer that made them."),
            )
        return self._bytes[token]

    # === What it is ===

    @property
    def vocabulary_size(self) -> int:
        """Number of ids, special tokens included."""
        return len(self.vocabulary)

    @cached_property
    def special_tokens(self) -> list[str]:
        """Tokens that no text becomes, by id: what is neither a byte nor made by a merge."""
        made = {left + right for left, right in self.merges}
        return [token for token in self.vocabulary if token not in made and token not in BYTE_OF]

    @property
    def pre_tokenization(self) -> str:
        """How text is cut into words: a name of `PRE_TOKENIZATIONS`."""
        return self._rule.name

    @property
    def dtype(self) -> np.dtype[Any]:
        """What an id is written as: little-endian uint16, or uint32 where the vocabulary has more than 65,535 ids."""
        import numpy as np

        return np.dtype("<u2" if self.vocabulary_size <= 65_535 else "<u4")

    @cached_property
    def sha256(self) -> str:
        """Identity of the definition: equal for the same ids, merges and words, however they are written down."""
        definition: list[Any] = [list(self.vocabulary), [list(pair) for pair in self.merges]]
        if self._rule is not GPT2:
            definition.append(self._rule.name)
        return hashlib.sha256(json.dumps(definition, ensure_ascii=True).encode()).hexdigest()

    @cached_property
    def _special_ids(self) -> dict[str, int]:
        return {token: self.vocabulary[token] for token in self.special_tokens}

    @cached_property
    def _special_pattern(self) -> re.Pattern[str]:
        """Finds special tokens, the longest where several begin."""
        longest_first = sorted(self.special_tokens, key=len, reverse=True)
        return re.compile(f"({'|'.join(map(re.escape, longest_first))})")

    @cached_property
    def _bytes(self) -> list[builtins.bytes]:
        special = set(self.special_tokens)
        return [
            token.encode() if token in special else bytes_of(token) for token in self.vocabulary
        ]


def find_tokenizer(name: str | Path, saved_models: str | Path | None = None) -> Tokenizer:
    """The tokenizer called `name`: `bytes`, a path, the name of a run or of a data folder, or GPT-2's own (`gpt2`).

    Raises:
        KgptError: as `Tokenizer.load`.
        KgptFailure: GPT-2's files are not here and cannot be downloaded.
    """
    if str(name) == "bytes":
        return Tokenizer.bytes()
    places = (Path(name), saved_models_folder(saved_models) / name, data_folder() / name)
    if str(name) == "gpt2":
        from kgpt.text.gpt2_files import named_gpt2  # it stands on this module

        return named_gpt2(places)
    found = next((path for path in places if path.exists()), None)
    if found is None:
        raise KgptError(
            _("No tokenizer found"),
            _("There is nothing called {name}: ", name=name)
            + ", ".join(_("no {path}", path=path) for path in dict.fromkeys(places))
            + ".",
            _(
                "Give `bytes`, `gpt2`, a run (`kgpt runs` lists them), a folder made by `kgpt "
                "prepare`, a folder with vocabulary.json and merges.txt, encoder.json and vocab.bpe "
                "or tokenizer.json, or a .tiktoken file."
            ),
        )
    return Tokenizer.load(found)


def _with_clear_errors(call: Callable[[], Any], texts: Sequence[str]) -> Any:
    try:
        return call()
    except (TypeError, UnicodeEncodeError):
        for text in texts:
            reject_surrogates(text)
        raise


def _parts(ids: Any, counts: list[int]) -> Iterator[Any]:
    """`ids` cut into rows of `counts`."""
    start = 0
    for count in counts:
        yield ids[start : start + count]
        start += count


def _broken(reason: str) -> KgptError:
    return KgptError(
        _("Not a usable tokenizer"),
        _("Expected a byte-level BPE vocabulary as GPT-2's, but {reason}.", reason=reason),
        _("Give the folder of a run, of prepared data, or of a GPT-2 tokenizer."),
    )

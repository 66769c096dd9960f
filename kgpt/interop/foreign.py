"""What every importer gives: a configuration, tensors to be read one by one, and a tokenizer.

In: the files of a tokenizer in whatever layout they came. Out: a `ForeignModel` and its tokenizer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgpt.config import ModelConfig
from kgpt.errors import KgptError
from kgpt.interop.correspondence import Correspondence, StoredTensor
from kgpt.language import _
from kgpt.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class ForeignModel:
    """A model in somebody else's files. Nothing large is in memory."""

    family: str
    """For people: whose files these are."""
    config: ModelConfig
    """Its vocabulary has as many ids as the tables have rows."""
    layout: Sequence[Correspondence]
    tensors: Mapping[str, StoredTensor]
    tokenizer: Tokenizer
    weights_file: Path


def foreign_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer in a model's folder, with the special tokens that were added to it.

    `tokenizer.json` comes first, because it alone has everything; then a vocabulary and its merges, and
    `added_tokens.json` beside them.

    Raises:
        KgptError: there is none, it is damaged, or of another kind.
    """
    whole = folder / "tokenizer.json"
    loaded = Tokenizer.load(whole if whole.is_file() else folder)
    added = folder / "added_tokens.json"
    if whole.is_file() or not added.is_file():
        return loaded
    more = read_object(added)
    return Tokenizer({**loaded.vocabulary, **more}, loaded.merges, loaded.pre_tokenization)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a model.

    Raises:
        KgptError: the file is missing, or holds something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, str(error)) from None
    if not isinstance(values, dict):
        raise _unreadable(path, _("expected a JSON object"))
    return values


def _unreadable(path: Path, reason: str) -> KgptError:
    return KgptError(_("Unreadable file"), f"{path}: {reason}", _("Fetch the file again."))

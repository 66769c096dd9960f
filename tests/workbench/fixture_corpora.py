"""Prepared corpora as `kgpt prepare` leaves them, with known tokens."""

from __future__ import annotations

import json
from array import array
from pathlib import Path
from typing import Any

END = 9


def a_corpus(
    folder: Path,
    name: str = "machado",
    train: Any = None,
    validation: Any = (5, 6, 7),
    **values: Any,
) -> Path:
    """Shards of uint16; by default 400 training tokens, an end of text each 50."""
    train = [END if n % 50 == 49 else n % 8 for n in range(400)] if train is None else train
    path = folder / name
    path.mkdir(parents=True)
    shards = []
    for split, tokens in (("train", train), ("validation", validation)):
        (path / f"{split}-00000.bin").write_bytes(array("H", tokens).tobytes())
        shards.append({"name": f"{split}-00000.bin", "split": split, "tokens": len(tokens)})
    manifest = {
        "format_version": 1,
        "vocabulary_size": 8192,
        "end_of_text": END,
        "dtype": "uint16",
        "documents": 109,
        "train_tokens": len(train),
        "train_bytes": 4 * len(train),
        "validation_tokens": len(validation),
        "shards": shards,
        "counts": {"read": 120, "dropped": {"too short": 7}, "removed_duplicates": 4},
        "compression": {"tokens_per_word": 1.48},
        "sources": [{"source": "machado.txt"}],
    }
    (path / "manifest.json").write_text(json.dumps({**manifest, **values}))
    return path

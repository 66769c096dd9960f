"""The examples that a fine-tuned run was made from, kept in its folder, so that it explains itself and can go on.

In: the rows of each part, as plain values. Out: `examples/train.jsonl` and so on, checksums for `run.json`; later the
same rows again, or a refusal if they have been changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from kgpt.errors import KgptError
from kgpt.files import disk_failure, read_json_lines, write_atomically
from kgpt.language import _
from kgpt.runs import RunFolder
from kgpt.text.parting import NAMES

Row = dict[str, Any]
PartRows = Mapping[str, list[Row]]


def summary(parts: PartRows) -> dict[str, Any]:
    """Number and checksum of each part's examples."""
    return {name: {"examples": len(rows), "sha256": _sha256(rows)} for name, rows in parts.items()}


def write_examples(run: RunFolder, parts: PartRows) -> None:
    """Write each part.

    Raises:
        KgptFailure: the disk is full.
    """
    try:
        run.examples_folder.mkdir(exist_ok=True)
    except OSError as error:
        raise disk_failure(error, run.path) from error
    for name, rows in parts.items():
        write_atomically(run.examples_folder / f"{name}.jsonl", _lines(rows))


def kept_part(run: RunFolder, name: str) -> list[Row]:
    """The examples of one part: train, validation or test."""
    return list(read_json_lines(run.examples_folder / f"{name}.jsonl"))


def read_examples(run: RunFolder, values: Mapping[str, Any]) -> dict[str, list[Row]]:
    """The examples of each part; `values` is the content of `run.json`.

    Raises:
        KgptError: they are not those that the run was trained with.
    """
    known = (values.get("data") or {}).get("parts") or {}
    parts = {name: kept_part(run, name) for name in NAMES}
    for name, rows in parts.items():
        if known.get(name, {}).get("sha256") != _sha256(rows):
            raise KgptError(
                _("Examples changed"),
                _(
                    "{examples_folder} is not what the run was trained with.",
                    examples_folder=run.examples_folder / f"{name}.jsonl",
                ),
                _("Restore the file, or fine-tune under another --run NAME."),
            )
    return parts


def _lines(rows: Iterable[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _sha256(rows: Iterable[Row]) -> str:
    return hashlib.sha256(_lines(rows).encode()).hexdigest()

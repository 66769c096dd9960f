"""What a file is, by its name: its kind, and the compressor around it.

In: a name. Out: kind and compression, or nothing where it cannot be read, and then what to do about that.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from kgpt.language import N_, _

Kind = Literal["text", "json-lines", "json", "csv", "tsv", "parquet", "xml", "encyclopedia", "hub"]
Compression = Literal["", "gz", "bz2", "xz", "zst"]

KIND_OF_SUFFIX: dict[str, Kind] = {
    ".txt": "text",
    ".md": "text",
    ".jsonl": "json-lines",
    ".ndjson": "json-lines",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".xml": "xml",
}
COMPRESSION_OF_SUFFIX: dict[str, Compression] = {
    ".gz": "gz",
    ".bz2": "bz2",
    ".xz": "xz",
    ".zst": "zst",
}


def known() -> str:
    """The suffixes that can be read, for messages."""
    return _(
        "{kinds}; all but .parquet plain or {compressions}",
        kinds=" ".join(KIND_OF_SUFFIX),
        compressions=" ".join(COMPRESSION_OF_SUFFIX),
    )


_KIND_SUFFIX = re.compile(r"(\.[^./\s]+?)(?:-p\d+p\d+)?$")
"""`-p1p41242` stands behind `.xml` in the parts of a Wikipedia dump."""
_UNPACK = N_("Unpack it and give the folder.")
_PANDOC = N_("Extract its text first: pandoc {name} -t plain --wrap=none -o text.txt")
_TABLE = N_("Save the sheet as .csv, encoded in UTF-8.")
_ADVICE = {
    ".zip": _UNPACK,
    ".tar": _UNPACK,
    ".tgz": _UNPACK,
    ".7z": _UNPACK,
    ".rar": _UNPACK,
    ".pdf": N_("Extract its text first: pdftotext {name} text.txt"),
    ".docx": _PANDOC,
    ".odt": _PANDOC,
    ".epub": _PANDOC,
    ".html": _PANDOC,
    ".htm": _PANDOC,
    ".doc": N_("Save it as .txt in a word processor."),
    ".xlsx": _TABLE,
    ".xls": _TABLE,
}


class Format(NamedTuple):
    """What a file is."""

    kind: Kind
    compression: Compression = ""


def format_of(name: str) -> Format | None:
    """Kind and compression that a file's name tells, or None where it is none that can be read."""
    kind, compression = _suffixes(name)
    if kind not in KIND_OF_SUFFIX or (kind == ".parquet" and compression):
        return None
    return Format(KIND_OF_SUFFIX[kind], COMPRESSION_OF_SUFFIX.get(compression, ""))


def advice(name: str) -> str:
    """What to do with a file that cannot be read."""
    kind, compression = _suffixes(name)
    if kind == ".parquet":
        return _("Parquet is compressed inside; unpack the file around it.")
    hint = _("Known are {known}.", known=known())
    if kind in _ADVICE:
        return _(_ADVICE[kind], name=name)
    return _(
        "If it is plain text, rename it to .txt{compression}. {known}",
        compression=compression,
        known=hint,
    )


def _suffixes(name: str) -> tuple[str, str]:
    """The last two suffixes in lower case: that of the kind and that of the compressor, or empty strings."""
    stem, compression = name, ""
    for suffix in COMPRESSION_OF_SUFFIX:
        if name.lower().endswith(suffix):
            stem, compression = name[: -len(suffix)], suffix
    match = _KIND_SUFFIX.search(stem)
    return (match[1].lower() if match else ""), compression

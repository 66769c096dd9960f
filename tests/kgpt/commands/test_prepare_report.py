"""The report of `kgpt prepare`, rendered as text."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

from rich.console import Console

from kgpt.commands.prepare_report import print_report, report

MANIFEST: dict[str, Any] = {
    "documents": 1_193_221,
    "train_tokens": 11_002_331_112,
    "validation_tokens": 500_112_331,
    "train_bytes": 48_100_000_000,
    "validation_bytes": 2_010_000_000,
    "vocabulary_size": 32_768,
    "dtype": "uint16",
    "shards": [{}] * 172,
    "sources": [{"source": f"wiki/{n}.jsonl.gz", "bytes": 4_000_000_000} for n in range(9)],
    "counts": {
        "read": 1_204_552,
        "dropped": {"language": 220, "min-length": 2_900, "emails": 0},
        "duplicates": 8_211,
        "removed_duplicates": 8_211,
        "kept": 1_193_221,
        "validation": 60_220,
    },
    "cleaning": {
        "nfc": {"changed": 12_000, "dropped": 0},
        "min-length": {"changed": 0, "dropped": 2_900},
    },
    "skipped": {"not JSON": 10, "no field text": 2},
    "options": {"dedupe": "near"},
    "compression": {
        "bytes_per_token": 4.312,
        "tokens_per_word": 1.384,
        "gpt2": {"bytes_per_token": 2.61, "tokens_per_word": 2.27},
    },
}


def lines(manifest: dict[str, Any], seconds: float | None = 1204.0, width: int = 120) -> list[str]:
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False)
    console.print(report(manifest, Path("data/wiki"), seconds))
    written = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in written.splitlines()]


def changed(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(MANIFEST) | changes


def test_everything_is_told() -> None:
    assert lines(MANIFEST) == [
        "output      data/wiki",
        "sources     wiki/0.jsonl.gz, wiki/1.jsonl.gz, wiki/2.jsonl.gz, and 6 more  (36.0 GB)",
        "read        1,204,552 documents",
        "skipped     12: 10 not JSON, 2 no field text",
        "dropped     3,120: 2,900 min-length, 220 language",
        "duplicates  8,211, left out",
        "documents   1,193,221",
        "",
        "cleaning    changed  dropped",
        "nfc          12,000        0",
        "min-length        0    2,900",
        "",
        "split       documents           bytes          tokens  share",
        "train       1,133,001  48,100,000,000  11,002,331,112  96.0%",
        "validation     60,220   2,010,000,000     500,112,331   4.0%",
        "",
        "tokenizer   bytes a token  tokens a word",
        "this one             4.31           1.38  on a sample",
        "GPT-2's              2.61           2.27",
        "",
        "bytes       50,110,000,000",
        "tokens      11,502,443,443  (4.36 bytes each)",
        "vocabulary  32,768 ids",
        "shards      172 of uint16",
        "seconds     1,204.0  (41.6 MB/s)",
    ]


def test_what_did_not_happen_is_not_told() -> None:
    quiet = changed(
        counts={"read": 3, "dropped": {}, "duplicates": 0, "kept": 3, "validation": 1},
        cleaning={},
        skipped={},
        documents=3,
    )
    words = {line.split(" ")[0] for line in lines(quiet)}
    assert not words & {"skipped", "dropped", "duplicates", "cleaning"}
    assert {"read", "documents", "split", "tokenizer"} <= words
    assert not any(line.startswith("seconds") for line in lines(quiet, None))


def test_duplicates_that_were_kept_come_with_advice() -> None:
    counts = MANIFEST["counts"] | {"removed_duplicates": 0}
    kept = lines(changed(counts=counts, options={"dedupe": "off"}))
    (line,) = [line for line in kept if line.startswith("duplicates")]
    assert line.startswith("duplicates  8,211, kept (--dedupe exact leaves them out")


def test_without_gpt2s_files_there_is_a_hint() -> None:
    without = lines(changed(compression=MANIFEST["compression"] | {"gpt2": None}))
    assert any("kgpt tokenize gpt2" in line for line in without)
    assert not any(line.startswith("GPT-2's") for line in without)
    assert not any("kgpt tokenize gpt2" in line for line in lines(MANIFEST))


def test_a_single_document_is_on_both_sides_in_parts() -> None:
    single = lines(changed(documents=1, counts={"read": 1, "validation": 1}))
    for side in ("train", "validation"):
        (line,) = [line for line in single if line.startswith(side)]
        assert line.split()[1:3] == ["a", "part"]


def test_a_manifest_of_an_older_version() -> None:
    newer = ("counts", "cleaning", "skipped", "compression", "options", "sources")
    older = {key: value for key, value in MANIFEST.items() if key not in newer}
    shown = lines(older)
    assert "documents   1,193,221" in shown
    assert "train               -  48,100,000,000  11,002,331,112  96.0%" in shown


def test_sources_without_a_size() -> None:
    (line,) = [
        line
        for line in lines(changed(sources=[{"source": "hf:a/b", "bytes": None}]))
        if line.startswith("sources")
    ]
    assert line == "sources     hf:a/b"


def test_it_fits_a_narrow_terminal_and_a_pipe_has_whole_lines(capsys) -> None:
    names = [{"source": "folder/" + "x" * 70 + f"{n}.txt", "bytes": 1} for n in range(3)]
    assert max(map(len, lines(changed(sources=names), width=60))) <= 60
    print_report(changed(sources=names), Path("data/wiki"), 1.0)
    shown = capsys.readouterr().out.splitlines()
    assert ", ".join(item["source"] for item in names) in shown[1]
    assert all(line == line.rstrip() for line in shown)

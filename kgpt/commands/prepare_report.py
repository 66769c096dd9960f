"""What a person sees of `kgpt prepare` when it is done: what became of the text.

In: the manifest of a prepared corpus. Out: the report, as a rich renderable or on stdout: documents read and left out,
cleaning, the split, and how the tokenizer compresses beside GPT-2's. Manifests of older versions, or of parts that were
joined, lack some of it: those rows are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from kgpt.commands.prepare_progress import PrepareDisplay, size
from kgpt.commands.tables import PIPE_WIDTH
from kgpt.language import N_, _, ngettext, number

__all__ = ["PrepareDisplay", "print_report", "report"]

MOST_NAMES = 3
"""Sources that are named."""
GPT2_HINT = N_(
    "`kgpt tokenize gpt2 Olá` fetches GPT-2's tokenizer; the next report compares with it."
)
SIDES = (N_("train"), N_("validation"))


def print_report(manifest: Mapping[str, Any], folder: Path, seconds: float | None) -> None:
    """Print what a prepared corpus holds on stdout; `seconds` is None where nothing had to be done."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    console = Console(width=width, markup=False, highlight=False)
    with console.capture() as capture:
        console.print(report(manifest, folder, seconds))
    print("\n".join(line.rstrip() for line in capture.get().splitlines()))


def report(
    manifest: Mapping[str, Any], folder: Path, seconds: float | None = None
) -> RenderableType:
    """What became of the text: documents, cleaning, the split, the tokenizer beside GPT-2's."""
    blocks: list[list[RenderableType]] = [
        [_overview(manifest, folder)],
        _cleaning(manifest),
        _split(manifest),
        _compression(manifest),
        [_result(manifest, seconds)],
    ]
    shown: list[RenderableType] = []
    for block in filter(None, blocks):
        shown += [Text(), *block] if shown else block
    return Group(*shown)


def _overview(manifest: Mapping[str, Any], folder: Path) -> Table:
    counts = manifest.get("counts", {})
    rows = {_("output"): str(folder), _("sources"): _sources(manifest.get("sources", []))}
    if "read" in counts:
        rows[_("read")] = ngettext("{count:,} document", "{count:,} documents", counts["read"])
    rows[_("skipped")] = _reasons(manifest.get("skipped", {}))
    rows[_("dropped")] = _reasons(counts.get("dropped", {}))
    rows[_("duplicates")] = _duplicates(counts, manifest.get("options", {}))
    rows[_("documents")] = number(manifest.get("documents", 0), ",")
    return _labelled(rows)


def _sources(sources: Sequence[Mapping[str, Any]]) -> str:
    names = [str(item.get("source")) for item in sources[:MOST_NAMES]]
    if len(sources) > MOST_NAMES:
        names.append(_("and {count:,} more", count=len(sources) - MOST_NAMES))
    known = [item["bytes"] for item in sources if item.get("bytes")]
    return ", ".join(names) + (f"  ({size(sum(known))})" if known else "")


def _reasons(reasons: Mapping[str, int]) -> str:
    """`1,204: 1,200 min-length, 4 language`, the most frequent first; empty for none."""
    frequent = sorted(((n, name) for name, n in reasons.items() if n), key=lambda each: -each[0])
    listed = ", ".join(f"{number(n, ',')} {_(name)}" for n, name in frequent)
    return f"{number(sum(n for n, _name in frequent), ',')}: {listed}" if frequent else ""


def _duplicates(counts: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    found = counts.get("duplicates", 0)
    if not found:
        return ""
    if counts.get("removed_duplicates", found if options.get("dedupe", "off") != "off" else 0):
        return _("{found:,}, left out", found=found)
    return _(
        "{found:,}, kept (--dedupe exact leaves them out, near also those that are nearly equal)",
        found=found,
    )


def _cleaning(manifest: Mapping[str, Any]) -> list[RenderableType]:
    steps = manifest.get("cleaning", {})
    rows = [
        (step, number(n["changed"], ","), number(n["dropped"], ",")) for step, n in steps.items()
    ]
    return [_grid((_("cleaning"), _("changed"), _("dropped")), rows)] if rows else []


def _split(manifest: Mapping[str, Any]) -> list[RenderableType]:
    total = sum(manifest.get(f"{side}_bytes", 0) for side in SIDES)
    if not total:
        return []
    rows = [
        (
            _(side),
            _documents(manifest, side),
            number(manifest[f"{side}_bytes"], ","),
            number(manifest[f"{side}_tokens"], ","),
            number(manifest[f"{side}_bytes"] / total, ".1%"),
        )
        for side in SIDES
    ]
    return [_grid((_("split"), _("documents"), _("bytes"), _("tokens"), _("share")), rows)]


def _documents(manifest: Mapping[str, Any], side: str) -> str:
    """How many documents a side has."""
    held_out = manifest.get("counts", {}).get("validation")
    if manifest["documents"] == 1:
        return _("a part")
    if held_out is None:
        return "-"
    return number(held_out if side == "validation" else manifest["documents"] - held_out, ",")


def _result(manifest: Mapping[str, Any], seconds: float | None) -> Table:
    total, tokens = (
        sum(manifest.get(f"{side}_{what}", 0) for side in SIDES) for what in ("bytes", "tokens")
    )
    shards = len(manifest.get("shards", []))
    rows = {
        _("bytes"): number(total, ","),
        _("tokens"): _("{tokens:,}  ({each:.2f} bytes each)", tokens=tokens, each=total / tokens)
        if tokens
        else "0",
        _("vocabulary"): _("{count:,} ids", count=manifest.get("vocabulary_size", 0)),
        _("shards"): _("{count:,} of {dtype}", count=shards, dtype=manifest.get("dtype", "ids")),
    }
    if seconds is not None:
        speed = f"  ({number(total / seconds / 1e6, '.1f')} MB/s)" if seconds > 0 else ""
        rows[_("seconds")] = number(seconds, ",.1f") + speed
    return _labelled(rows)


def _compression(manifest: Mapping[str, Any]) -> list[RenderableType]:
    """The tokenizer on a sample of the text, and GPT-2's on the same sample, or how to come by it."""
    own = manifest.get("compression")
    if not own:
        return []
    rows = [(_("this one"), own), (_("GPT-2's"), own.get("gpt2"))]
    cells = [
        (name, number(found["bytes_per_token"], ".2f"), number(found["tokens_per_word"], ".2f"))
        for name, found in rows
        if found
    ]
    shown: list[RenderableType] = [
        _grid(
            (_("tokenizer"), _("bytes a token"), _("tokens a word")), cells, note=_("on a sample")
        )
    ]
    if not own.get("gpt2"):
        shown.append(Text(_(GPT2_HINT), style="dim"))
    return shown


def _labelled(rows: Mapping[str, str]) -> Table:
    """Labels and what they name, without those that name nothing."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", min_width=10, no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows.items():
        if text:
            table.add_row(label, Text(text))
    return table


def _grid(headings: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for place, heading in enumerate(headings):
        table.add_column(
            heading, justify="right" if place else "left", min_width=0 if place else 10
        )
    if note:
        table.add_column(style="dim")
    for place, row in enumerate(rows):
        table.add_row(*row, *([note] if note and not place else []))
    return table

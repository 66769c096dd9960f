"""A corpus in words: its line in the list, its report, a window of it, and a text cut into tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.content import Content

from kgpt.errors import KgptError
from kgpt.language import _
from workbench import wording
from workbench.corpora import CorpusSummary
from workbench.tokenizer_bench import Cut, TokenizerBench
from workbench.tokens import chip_texts
from workbench.widgets.colors import muted
from workbench.widgets.token_view import CHIPS

LABEL = 16


def line(corpus: CorpusSummary) -> Content:
    """`machado  2.6M tokens`."""
    if corpus.problem:
        return Content.assemble(("? ", "$error"), corpus.name, muted(f"  {corpus.problem}"))
    tokens = wording.short(corpus.number("train_tokens"))
    return Content.assemble(corpus.name, muted("  " + _("{tokens} tokens", tokens=tokens)))


def _pair(label: str, value: str) -> Content:
    return Content.assemble(muted(f"{label:<{LABEL}}"), value)


def report(corpus: CorpusSummary) -> Content:
    """What `kgpt prepare` found and did."""
    if corpus.problem:
        return Content.styled(corpus.problem, "$error")
    train, validation = corpus.shards("train"), corpus.shards("validation")
    counts, compression = corpus.table("counts"), corpus.table("compression")
    per_word = compression.get("tokens_per_word")
    rows = [
        (_("documents"), wording.whole(corpus.number("documents"))),
        (_("training tokens"), wording.whole(corpus.number("train_tokens"))),
        (_("validation"), wording.whole(corpus.number("validation_tokens"))),
        (_("shards"), f"{len(train)} + {len(validation)}"),
        (_("vocabulary"), wording.whole(corpus.number("vocabulary_size"))),
        (_("bytes a token"), wording.decimal(corpus.bytes_per_token, 2)),
        (_("tokens a word"), wording.decimal(per_word if isinstance(per_word, float) else None, 2)),
        (_("duplicates"), wording.whole(corpus.number("removed_duplicates", "counts"))),
    ]
    lines = [_pair(label, value) for label, value in rows]
    lines += _dropped(_("dropped"), counts.get("dropped"))
    lines += _dropped(_("skipped"), corpus.table("skipped"))
    lines += _dropped(_("cleaned"), corpus.table("cleaning"))
    sources = corpus.manifest.get("sources")
    for source in sources if isinstance(sources, list) else ():
        name = source.get("source") if isinstance(source, dict) else source
        lines.append(_pair(_("source"), str(name)))
    return Content("\n").join(lines)


def _dropped(label: str, table: Any) -> list[Content]:
    if not isinstance(table, Mapping):
        return []
    return [_pair(label, f"{name} {value}") for name, value in table.items()]


def window(bench: TokenizerBench) -> Content:
    """The documents of a window, the end of each marked."""
    if bench.window_error:
        error = bench.window_error
        return Content.assemble(
            (error.title, "bold $error"), muted(f"\n{error.message}\n{error.hint}")
        )
    if bench.window is None:
        return muted(_("A random place of the corpus appears here: w shows another one."))
    return Content.styled("\n" + _("‹end of text›") + "\n", "$accent").join(
        [Content(text) for text in bench.documents]
    )


def cut(shown: Cut | None, other: Cut | None, error: KgptError | None, is_waiting: bool) -> Content:
    """A text as chips, with how many there are; fewer than the other tokenizer's is better."""
    if error:
        return Content.assemble(
            (error.title, "bold $error"), muted(f"\n{error.message}\n{error.hint}")
        )
    if shown is None:
        return muted(_("starting the engine…") if is_waiting else "")
    figures = _(
        "{count} tokens · {bytes_per_token} bytes each",
        count=len(shown.ids),
        bytes_per_token=wording.decimal(shown.bytes_per_token, 2),
    )
    if other and other.source != shown.source and other.ids and shown.ids:
        if shown.contents == other.contents:
            figures += " · " + _("the same cuts")
        else:
            figures += " · " + _(
                "{share:.0%} of the other's", share=len(shown.ids) / len(other.ids)
            )
    chips = [(text, CHIPS[place % 2]) for place, text in enumerate(chip_texts(shown.contents))]
    ids = " ".join(map(str, shown.ids))
    return Content.assemble(muted(figures + "\n\n"), *chips, muted(f"\n\n{ids}"))

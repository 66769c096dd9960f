"""Screen 5: the prepared corpora, a look into them, and tokenizers at work on what one types."""

from __future__ import annotations

import random
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.timer import Timer
from textual.widgets import OptionList, Select, Static
from textual.widgets.option_list import Option

from kgpt.language import N_, _
from workbench.corpora import SPLITS, CorpusSummary, random_window
from workbench.screens.base import WorkbenchScreen
from workbench.tokenizer_bench import Source
from workbench.widgets import corpus_report
from workbench.widgets.bindings import bindings_of
from workbench.widgets.colors import muted
from workbench.widgets.entry import TextEntry
from workbench.widgets.model_picker import fill_menu

EXAMPLE = "A cachorra viu o menino 🔥"
WINDOW_TOKENS = 160
TYPING_SECONDS = 0.15
"""After the last key, before the text is cut anew."""
READ_SECONDS = 3.0
EMPTY = N_(
    "No corpora in {folder} yet. Prepare one:\n"
    "\n"
    "    kgpt prepare your.txt --output {folder}/mine --vocab-size 4096\n"
    "    kgpt prepare encyclopedia     (built in, Portuguese)\n"
    "\n"
    "It appears here by itself."
)


class DataScreen(WorkbenchScreen):
    """Corpora and report on the left; a window and the tokenizers on the right."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("data")]
    AUTO_FOCUS = "#corpora"
    place = "data"

    def compose_body(self) -> ComposeResult:
        """Two columns."""
        yield Static(id="empty-data")
        with Horizontal(id="data-body"):
            with Vertical(id="data-side"):
                corpora = OptionList(id="corpora", compact=True)
                corpora.border_title = _("corpora")
                yield corpora
                with VerticalScroll(id="report-pane", can_focus=False) as report:
                    report.border_title = _("report")
                    yield Static(id="report")
            with Vertical(id="data-main"):
                with VerticalScroll(id="window-pane", can_focus=False) as window:
                    window.border_title = _("window")
                    yield Static(id="window")
                text = TextEntry(
                    EXAMPLE, soft_wrap=True, show_line_numbers=False, compact=True, id="sample-text"
                )
                text.border_title, text.cursor_blink = _("tokenize"), False
                yield text
                with Horizontal(id="tokenizers"):
                    for place in (0, 1):
                        with Vertical(classes="tokenizer"):
                            yield Select[str](
                                [], prompt=_("none"), compact=True, id=f"source-{place}"
                            )
                            with VerticalScroll(classes="cut-pane", can_focus=False):
                                yield Static(id=f"cut-{place}")

    def on_mount(self) -> None:
        """Read the folder now and again."""
        self._chosen: str | None = None
        self._split = SPLITS[0]
        self._picked: set[int] = set()
        """The menus in which the user has chosen."""
        self._names: list[tuple[str, str]] = []
        self._typing: Timer | None = None
        self._chance = random.Random()
        self.set_interval(READ_SECONDS, self._read_again)
        self.query_one("#empty-data").display = False
        self.workbench.data.read()

    def _read_again(self) -> None:
        if self.is_current:
            self.workbench.data.read()

    # === Showing ===

    def show_runs(self) -> None:
        """The runs have tokenizers too."""
        self.show_note()
        self.workbench.data.read()
        self._show_sources()

    def show_corpora(self) -> None:
        """The folder has been read."""
        corpora = self.workbench.data.corpora
        is_empty = corpora is not None and not corpora
        self.query_one("#empty-data", Static).update(_(EMPTY, folder=self.workbench.data_folder))
        self.query_one("#empty-data").display = is_empty
        self.query_one("#data-side").display = not is_empty
        self.query_one("#window-pane").display = not is_empty
        self._show_list(corpora or [])
        self._show_sources()
        if corpora and self.corpus is None:
            self._choose(corpora[0].name)
        self._show_report()

    def _show_list(self, corpora: list[CorpusSummary]) -> None:
        menu = self.query_one("#corpora", OptionList)
        rows = [(corpus.name, corpus_report.line(corpus)) for corpus in corpora]
        shown = [(name, line.plain) for name, line in rows]
        if shown != self._names:
            self._names = shown
            highlighted = menu.highlighted or 0
            menu.clear_options()
            menu.add_options(Option(line, id=name) for name, line in rows)
            menu.highlighted = min(highlighted, len(rows) - 1) if rows else None

    def _show_report(self) -> None:
        corpus = self.corpus
        self.query_one("#report", Static).update(corpus_report.report(corpus) if corpus else "")

    def _show_sources(self) -> None:
        corpora = [c for c in self.workbench.data.corpora or [] if not c.problem]
        runs = [run for run in self.workbench.catalog.summaries if not run.problem]
        options = [(_("data {name}", name=c.name), f"data:{c.path}") for c in corpora]
        options += [(_("run {name}", name=run.name), f"run:{run.path}") for run in runs]
        for place in (0, 1):
            menu = self.query_one(f"#source-{place}", Select)
            if [value for _label, value in menu._options if isinstance(value, str)] != [
                o[1] for o in options
            ]:
                fill_menu(menu, options)
                if place not in self._picked and options:  # two different ones, where there are two
                    with menu.prevent(Select.Changed):
                        menu.value = options[min(place, len(options) - 1)][1]
                self._cut_soon()

    def show_tokenizers(self) -> None:
        """What the engine made of a window and of the text."""
        bench = self.workbench.bench
        pane = self.query_one("#window-pane")
        window = bench.window
        if window:
            pane.border_title = _(
                "window · {split} · {shard} from token {place:,}",
                split=_(window.split),
                shard=window.shard,
                place=window.place,
            )
        self.query_one("#window", Static).update(corpus_report.window(bench))
        for place in (0, 1):
            other = bench.cuts[1 - place]
            cut = corpus_report.cut(bench.cuts[place], other, bench.errors[place], bench.is_waiting)
            self.query_one(f"#cut-{place}", Static).update(cut)

    # === Choosing ===

    @property
    def corpus(self) -> CorpusSummary | None:
        """The chosen corpus."""
        corpora = self.workbench.data.corpora or []
        return next((corpus for corpus in corpora if corpus.name == self._chosen), None)

    def _choose(self, name: str) -> None:
        self._chosen = name
        self._show_report()
        self.action_window()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """The corpus under the cursor is shown."""
        if event.option.id and event.option.id != self._chosen:
            self._choose(event.option.id)

    def on_option_list_option_selected(self) -> None:
        """Another place of it."""
        self.action_window()

    def on_select_changed(self, event: Select.Changed) -> None:
        """Another tokenizer."""
        self._picked.add(int((event.select.id or "0")[-1]))
        self._cut_soon()

    def on_text_area_changed(self) -> None:
        """Another text."""
        self._cut_soon()

    def _cut_soon(self) -> None:
        if self._typing:
            self._typing.stop()
        self._typing = self.set_timer(TYPING_SECONDS, self._cut)

    def _cut(self) -> None:
        if not self.is_current:
            return
        sources = [self._source(place) for place in (0, 1)]
        self.workbench.data.cut(self.query_one(TextEntry).text, sources)

    def _source(self, place: int) -> Source | None:
        value = self.query_one(f"#source-{place}", Select).value
        if not isinstance(value, str):
            return None
        kind, _colon, path = value.partition(":")
        return Source("run" if kind == "run" else "data", Path(path))

    # === Actions ===

    def action_window(self) -> None:
        """A random place of the corpus, decoded."""
        corpus = self.corpus
        if corpus is None:
            return
        if corpus.problem:
            self.query_one("#window", Static).update(muted(corpus.problem))
            return
        self.workbench.data.show_window(
            corpus, lambda: random_window(corpus, self._split, WINDOW_TOKENS, self._chance)
        )

    def action_split(self) -> None:
        """Training or validation."""
        self._split = SPLITS[(SPLITS.index(self._split) + 1) % len(SPLITS)]
        self.action_window()

    def action_edit(self) -> None:
        """To the text."""
        self.query_one(TextEntry).focus()

    def action_copy(self) -> None:
        """Copy the window's text."""
        documents = self.workbench.bench.documents
        if documents:
            self.workbench.copy("\n\n".join(documents), _("the window"))

    def action_copy_path(self) -> None:
        """Copy the corpus' path."""
        if self.corpus:
            self.workbench.copy(str(self.corpus.path.resolve()), str(self.corpus.path))

    def go_back(self) -> bool:
        """From the text to the corpora."""
        if self.query_one(TextEntry).has_focus and self.query_one("#data-side").display:
            self.query_one("#corpora").focus()
            return True
        return False

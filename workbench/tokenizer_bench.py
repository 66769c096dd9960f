"""Tokenizers at work: a text cut by two of them, and a corpus' tokens as text, through the engine.

In: a text and two sources (a run or a corpus), or a window of a corpus. Out: tokens and texts, and a call of
`on_change` whenever one has come. Knows no Textual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kgpt.errors import KgptError
from workbench.corpora import CorpusSummary, Window
from workbench.playground import Playground


@dataclass(frozen=True)
class Source:
    """Whose tokenizer: a run's, or a prepared corpus'."""

    kind: Literal["run", "data"]
    path: Path

    @property
    def message(self) -> dict[str, str]:
        """As the engine wants it named."""
        return {self.kind: str(self.path.resolve())}


@dataclass(frozen=True)
class Cut:
    """A text as tokens."""

    source: Source
    text: str
    ids: tuple[int, ...]
    contents: tuple[bytes, ...]

    @property
    def bytes_per_token(self) -> float | None:
        """How much text a token stands for."""
        return sum(map(len, self.contents)) / len(self.ids) if self.ids else None


@dataclass
class TokenizerBench:
    """Asks the engine; of several questions that wait, only the newest is asked."""

    playground: Playground
    on_change: Callable[[], None] = lambda: None
    cuts: list[Cut | None] = field(default_factory=lambda: [None, None])
    """What each of the two tokenizers makes of the text."""
    errors: list[KgptError | None] = field(default_factory=lambda: [None, None])
    window: Window | None = None
    documents: list[str] = field(default_factory=list)
    """The window's text, cut where a document ends."""
    window_error: KgptError | None = None
    is_waiting: bool = False
    _asked: int = 0
    _windows: int = 0

    async def cut(self, text: str, sources: list[Source | None]) -> None:
        """Have a text cut by two tokenizers. It never raises what the engine did: `errors` has it."""
        self._asked += 1
        mine, self.is_waiting = self._asked, True
        self.on_change()
        for place, source in enumerate(sources):
            if mine != self._asked:
                return
            self.errors[place] = None
            try:
                self.cuts[place] = await self._cut(text, source) if source else None
            except KgptError as error:
                self.cuts[place], self.errors[place] = None, error
        if mine == self._asked:
            self.is_waiting = False
        self.on_change()

    async def _cut(self, text: str, source: Source) -> Cut:
        known = next(
            (cut for cut in self.cuts if cut and (cut.source, cut.text) == (source, text)), None
        )
        if known:
            return known
        ids, contents = await self.playground.tokenize(source.message, text)
        return Cut(source, text, tuple(ids), tuple(contents))

    async def show(self, corpus: CorpusSummary, window: Window) -> None:
        """Have a window decoded. It never raises what the engine did: `window_error` has it."""
        self._windows += 1
        mine = self._windows
        try:
            documents = [
                await self._decoded(corpus, part)
                for part in window.parts(corpus.number("end_of_text"))
            ]
        except KgptError as error:
            self.fail(error)
            return
        if mine == self._windows:
            self.window, self.documents, self.window_error = window, documents, None
            self.on_change()

    def fail(self, error: KgptError) -> None:
        """There is no window, and this is why."""
        self.window, self.documents, self.window_error = None, [], error
        self.on_change()

    async def _decoded(self, corpus: CorpusSummary, ids: tuple[int, ...]) -> str:
        if not ids:
            return ""
        source = Source("data", corpus.path)
        request = {"type": "detokenize", **source.message, "ids": list(ids)}
        async for reply in self.playground.engine.request(request):
            if reply["type"] == "detokenized":
                return str(reply.get("text") or "")
        return ""

"""What the Data screen asks for: the prepared corpora, a window of one, a text cut by two tokenizers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kgpt.errors import KgptError
from workbench.corpora import read_corpora
from workbench.services import Host

if TYPE_CHECKING:
    from workbench.corpora import CorpusSummary, Window
    from workbench.tokenizer_bench import Source, TokenizerBench


class DataService:
    """Reads the folder of data, and has tokens read and made."""

    def __init__(self, host: Host, bench: TokenizerBench, folder: Callable[[], Path]) -> None:
        self.corpora: list[CorpusSummary] | None = None
        """What the folder held when it was read last; None before that."""
        self._host, self._bench, self._folder = host, bench, folder

    def read(self) -> None:
        """Read the folder."""
        self._host.in_background(self._read, "corpora")

    async def _read(self) -> None:
        found = await asyncio.to_thread(read_corpora, self._folder())
        if found != self.corpora:
            self.corpora = found
            self._host.tell("corpora")

    def cut(self, text: str, sources: list[Source | None]) -> None:
        """Have a text cut by two tokenizers."""
        self._host.in_background(partial(self._bench.cut, text, sources), "tokenize")

    def show_window(self, corpus: CorpusSummary, find: Callable[[], Window]) -> None:
        """Have a place of a corpus read and decoded."""

        async def work() -> None:
            try:
                window = await asyncio.to_thread(find)
            except KgptError as error:
                self._bench.fail(error)
            else:
                await self._bench.show(corpus, window)

        self._host.in_background(work, "window")

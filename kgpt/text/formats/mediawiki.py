"""Wikipedia dumps: the articles in an XML export of MediaWiki.

In: `pages-articles.xml`, as a rule in `.bz2`, of one stream or many. Out: a document for each page of the main
namespace that is no redirect: its title, an empty line, and its wikitext, which `wikitext.plain_text` cleans. The
file is read as a stream; no more is held than the pages of a block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.parsers import expat

from kgpt.language import N_, _
from kgpt.text.documents import Piece
from kgpt.text.formats.compression import blocks
from kgpt.text.formats.reading import Reading

_WANTED = frozenset({"title", "ns", "model", "text"})
_MARKUP_IN_TITLE = re.compile(r"^[*#:;=]|''|~~~|__|&")


def read(reading: Reading) -> Iterator[Piece]:
    """The articles of a dump.

    Where damage is skipped, the rest of a file is left out from where it is no XML.

    Raises:
        KgptError: the file is no export of MediaWiki, is no XML from some place on, and errors stop.
        KgptFailure: it cannot be read.
    """
    name, pages = reading.source.name, _Pages()
    content = blocks(reading)
    is_complete = False
    while not is_complete:
        block = next(content, b"")
        is_complete = not block
        try:
            pages.parse(block)
        except expat.ExpatError as error:
            reading.damage(
                N_("Not XML"),
                f"{name}:{error.lineno}: {expat.ErrorString(error.code)}, after {pages.count:,} pages.",
                _("Copy or download it again, or keep what is there with --on-error skip."),
            )
            is_complete = True
        yield from pages.take()
        if pages.root not in (None, "mediawiki"):
            reading.damage(
                N_("No Wikipedia dump"),
                _(
                    "{name}: expected an export of MediaWiki, which begins with "
                    "<mediawiki>; received <{root}>.",
                    name=name,
                    root=pages.root,
                ),
                _("Of other XML, extract the text first."),
            )
            return


class _Pages:
    """Collects articles while expat goes through the file."""

    def __init__(self) -> None:
        self.root: str | None = None
        self.count = 0
        """Pages of any kind."""
        self._found: list[Piece] = []
        self._page: dict[str, str] = {}
        self._parts: list[str] | None = None
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.buffer_size = 1 << 16
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters

    def parse(self, block: bytes) -> None:
        """Go on with a block; an empty one ends the file."""
        self._parser.Parse(block, not block)

    def take(self) -> list[Piece]:
        """The articles found since the last call."""
        found, self._found = self._found, []
        return found

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self.root is None:
            self.root = name
        elif name == "page":
            self._page = {}
        elif name == "redirect":
            self._page["redirect"] = name
        elif name in _WANTED:
            self._parts = []

    def _characters(self, text: str) -> None:
        if self._parts is not None:
            self._parts.append(text)

    def _end(self, name: str) -> None:
        if self._parts is not None and name in _WANTED:
            # A page with its history has several revisions: the last one counts.
            self._page[name] = "".join(self._parts)
            self._parts = None
        elif name == "page":
            self.count += 1
            if piece := _article(self._page):
                self._found.append(piece)


def _article(page: dict[str, str]) -> Piece | None:
    text, title = page.get("text", ""), page.get("title", "")
    is_article = page.get("ns", "0") == "0" and "redirect" not in page
    if not (is_article and page.get("model", "wikitext") == "wikitext" and text.strip()):
        return None
    if _MARKUP_IN_TITLE.search(title):
        title = f"<nowiki>{title}</nowiki>"
    return Piece(f"{title}\n\n{text}", markup="wikitext")

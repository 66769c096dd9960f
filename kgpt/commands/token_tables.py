"""Tokens of a text, or those of two tokenizers side by side, as a person reads them.

In: tokens with their places in the text. Out: coloured text and tables for a terminal, plain columns for a pipe, and
a line of figures. Two tokenizers are aligned by position: each row that has a number in its first column begins where
both have a border.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, TypeVar

from kgpt.commands.token_views import Token, split_characters, stretches, text_of
from kgpt.language import _

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

ROWS_AT_ONCE = 500
"""Rows that are laid out together, so that a long text appears as it is laid out."""
BLOCK_CHARACTERS = 4000
"""Characters after which a coloured text is printed up to the next end of a line."""
GAP = 2
SIDE_HEADINGS = ("id", "bytes", "text")

Row = TypeVar("Row")
Pair = tuple[str, Token | None, Token | None]
"""A row of two tokenizers: where the stretch begins (empty inside one), and a token of each."""


# === Figures ===


def figures(tokens: Sequence[Token], text: str) -> str:
    """`5 tokens, 19 bytes, 3.80 bytes a token, 1.25 tokens a word`; a word is what stands between white space."""
    size, words = sum(len(token.data) for token in tokens), len(text.split())
    parts = [_count(len(tokens), "token"), _count(size, "byte")]
    if tokens:
        parts.append(_("{size:.2f} bytes a token", size=size / len(tokens)))
    if words:
        parts.append(_("{count:.2f} tokens a word", count=len(tokens) / words))
    return ", ".join(parts)


def comparison(names: Sequence[str], tokens: Sequence[Sequence[Token]], text: str) -> list[str]:
    """The figures of two tokenizers, and how many tokens the first needs beside the second."""
    width = max(map(len, names))
    lines = [
        f"{name:<{width}}  {figures(each, text)}" for name, each in zip(names, tokens, strict=True)
    ]
    if tokens[1]:
        ratio = len(tokens[0]) / len(tokens[1])
        lines.append(
            _(
                "{first} needs {ratio:.2f} times the tokens of {second}",
                first=names[0],
                ratio=ratio,
                second=names[1],
            )
        )
    return lines


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


# === Plain columns ===


def plain_lines(tokens: Iterable[Token]) -> Iterator[str]:
    """A line a token: id, bytes, and the text as a Python literal (bytes where it is no whole text)."""
    for token in tokens:
        yield f"{token.id:>6}  {token.data.hex(' '):<24}  {literal(token.data)}"


def plain_pairs(names: Sequence[str], tokens: Sequence[Sequence[Token]]) -> Iterator[str]:
    """The lines of two tokenizers side by side, in aligned columns under their names."""
    from rich.cells import cell_len

    rows = [("at", *SIDE_HEADINGS, *SIDE_HEADINGS)]
    for start, left, right in pairs(*tokens):
        rows.append((start, *_plain_cells(left), *_plain_cells(right)))
    widths = [max(cell_len(row[column]) for row in rows) for column in range(7)]
    left_width = sum(widths[1:4]) + 2 * GAP
    yield f"{'':{widths[0]}}  {names[0]:<{left_width}}  {names[1]}"
    for row in rows:
        cells = [
            " " * (width - cell_len(cell)) + cell
            if column in (0, 1, 4)
            else cell + " " * (width - cell_len(cell))
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield (" " * GAP).join(cells).rstrip()


def _plain_cells(token: Token | None) -> tuple[str, str, str]:
    return (str(token.id), token.data.hex(" "), literal(token.data)) if token else ("", "", "")


def literal(data: bytes) -> str:
    r"""`' é'` for text, `b'\xc3'` for a part of a character; what a terminal would act upon is escaped."""
    try:
        return repr(data.decode())
    except UnicodeDecodeError:
        return repr(data)


def pairs(left: Sequence[Token], right: Sequence[Token]) -> Iterator[Pair]:
    """The rows of two tokenizers, stretch by stretch."""
    for ours, theirs in stretches(left, right):
        for number, (mine, other) in enumerate(zip_longest(ours, theirs)):
            yield "" if number else str(ours[0].start), mine, other


# === In colour ===


class ColourView:
    """Prints tokens on a terminal: `console` has its width and colours, `write` gets what to print, block by block."""

    def __init__(self, console: Console, write: Callable[[str], object]) -> None:
        self._console = console
        self._write = write
        if console.color_system in ("truecolor", "256"):
            self._styles = ("#000000 on #b5d8ff", "#000000 on #ffdca8")
            self._mark = "#66707c"
        else:
            self._styles = ("black on cyan", "black on yellow")
            self._mark = ""

    def heading(self, name: str) -> None:
        """A tokenizer's name."""
        from rich.text import Text

        self._print(Text(name, style="bold"))

    def text(self, tokens: Iterable[Token]) -> None:
        """The text itself, neighbouring tokens in alternating backgrounds."""
        from rich.text import Text

        block = Text()
        for token in tokens:
            block.append_text(self._shown(token, break_lines=True))
            if len(block) > BLOCK_CHARACTERS and token.data.endswith(b"\n"):
                block.right_crop(1)
                self._print(block)
                block = Text()
        if block.plain.endswith("\n"):
            block.right_crop(1)
        self._print(block)

    def table(self, tokens: Sequence[Token], text: str) -> None:
        """A row a token: id, bytes, text."""
        whole = text.encode()
        ids, data, shown = self._widths(tokens, self._console.width)
        for rows in _chunks(tokens):
            table = self._new_table()
            self._add_columns(table, ids, data, shown)
            for token in rows:
                table.add_row(*self._cells(token, whole))
            self._print(table)

    def pair_table(
        self, names: Sequence[str], tokens: Sequence[Sequence[Token]], text: str
    ) -> None:
        """The tokens of two tokenizers side by side, aligned by position."""
        from rich.text import Text

        whole = text.encode()
        at = max(2, len(str(len(whole))))
        side = (self._console.width - at - 2 * GAP) // 2
        widths = [self._widths(each, side) for each in tokens]
        left_width = sum(widths[0]) + 2 * GAP
        heading = Text(" " * (at + GAP) + f"{names[0][:left_width]:<{left_width + GAP}}{names[1]}")
        heading.stylize("bold")
        self._print(heading)
        for rows in _chunks(pairs(*tokens)):
            table = self._new_table()
            table.add_column(justify="right", width=at, style="dim")
            for each in widths:
                self._add_columns(table, *each)
            for start, left, right in rows:
                table.add_row(start, *self._cells(left, whole), *self._cells(right, whole))
            self._print(table)

    def _shown(self, token: Token, break_lines: bool = False) -> Text:
        return text_of(token, self._styles[token.number % 2], self._mark, break_lines)

    def _cells(self, token: Token | None, whole: bytes) -> tuple[str | Text, ...]:
        from rich.text import Text

        if token is None:
            return "", "", ""
        shown = self._shown(token)
        for note in split_characters(token, whole):
            shown.append_text(Text(f"  {note}", style="dim"))
        return str(token.id), token.data.hex(" "), shown

    @staticmethod
    def _widths(tokens: Sequence[Token], available: int) -> tuple[int, int, int]:
        """Widths of ids, bytes and text; long bytes get 2/5 of what the ids leave, and are wrapped."""
        ids = max([2, *(len(str(token.id)) for token in tokens)])
        rest = max(16, available - ids - 2 * GAP)
        data = min(max([5, *(3 * len(token.data) - 1 for token in tokens)]), 2 * rest // 5)
        return ids, data, rest - data

    @staticmethod
    def _new_table() -> Table:
        from rich.table import Table

        return Table(box=None, show_header=False, pad_edge=False, padding=(0, GAP, 0, 0))

    @staticmethod
    def _add_columns(table: Table, ids: int, data: int, shown: int) -> None:
        table.add_column(justify="right", width=ids)
        table.add_column(width=data, style="dim", overflow="fold")
        table.add_column(width=shown, overflow="fold")

    def _print(self, renderable: RenderableType) -> None:
        with self._console.capture() as capture:
            self._console.print(renderable, markup=False, highlight=False, overflow="fold")
        self._write(capture.get())


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    rows = iter(rows)
    while chunk := list(islice(rows, ROWS_AT_ONCE)):
        yield chunk

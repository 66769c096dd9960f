"""Tables for the terminal: headings and rows of texts in, aligned columns on stdout out.

In a terminal a table fits its width; in a pipe every row is one whole line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence

from kgpt.language import _, number

PIPE_WIDTH = 1000


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[str] = ()
) -> None:
    """Print a table; columns whose heading is in `left` are aligned to the left, the others to the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left else "right")
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    Console(width=width, markup=False, highlight=False).print(table)


def print_left_out(left_out: Mapping[str, int], *more: str) -> None:
    """Print how many rows of a file were left out for what reasons, and what `more` is to be said; nothing if none."""
    parts = [f"{number(count, ',')} × {_(reason)}" for reason, count in left_out.items()]
    if parts or more:
        print(_("Left out: {left_out}.", left_out=", ".join([*parts, *more])))

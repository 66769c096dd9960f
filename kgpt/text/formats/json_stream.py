"""JSON values out of a stream of text, without holding more of it than one value.

In: blocks of text. Out: the signs between values, and values, one at a time, each parsed by the standard library. A
value that is not complete in what has been read is parsed again with more; what cannot become one is an error with
line and column.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from kgpt.language import _
from kgpt.text.formats.json_lines import describe

_SPACE = re.compile(r"[ \t\n\r]*")
_NEAR_END = 16
"""An error within so many characters of what has been read may be due to what has not."""


class NotJsonError(Exception):
    """The text is no JSON; the message begins with the line and the column."""


class JsonStream:
    """A place in JSON text, and the way on from it."""

    def __init__(self, blocks: Iterator[str]) -> None:
        self.line = 1
        """The line on which the last value begins."""
        self._blocks = blocks
        self._text, self._place = "", 0
        self._counted = 0  # up to where `line` has counted
        self._column = 0  # characters of the line that have been dropped
        self._ended = False
        self._decoder = json.JSONDecoder()

    def peek(self) -> str:
        """The next character that is no space; empty at the end of the text."""
        while True:
            found = _SPACE.match(self._text, self._place)
            self._place = found.end() if found else self._place
            if self._place < len(self._text) or self._ended:
                return self._text[self._place : self._place + 1]
            self._read_on()

    def take(self) -> None:
        """Go past the character that `peek` shows."""
        self._place += 1

    def expect(self, signs: str) -> str:
        """Go past one of these characters and return it.

        Raises:
            NotJsonError: another comes.
        """
        sign = self.peek()
        if not sign or sign not in signs:
            raise self.error(f"expecting {' or '.join(map(repr, signs))}")
        self._place += 1
        return sign

    def value(self) -> Any:
        """The next value, whole.

        Raises:
            NotJsonError: what comes is none.
        """
        self.peek()
        self._count_lines()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._place)
            except json.JSONDecodeError as error:
                is_open = error.msg.startswith("Unterminated string")
                if self._ended or not (is_open or error.pos >= len(self._text) - _NEAR_END):
                    raise self._error_at(error.pos, error.msg[0].lower() + error.msg[1:]) from None
            except (ValueError, RecursionError) as error:
                raise self.error(describe(error)) from None
            else:
                if end < len(self._text) or self._ended:
                    self._place = end
                    return value
            self._read_on()

    def error(self, message: str) -> NotJsonError:
        """An error at the place that `peek` shows."""
        self.peek()
        return self._error_at(self._place, message)

    def _error_at(self, place: int, message: str) -> NotJsonError:
        if place >= len(self._text) and self._ended:
            message = _("the file ends here; {message}", message=message)
        line = self.line + self._text.count("\n", self._counted, place)
        start = self._text.rfind("\n", 0, place)
        column = place - start + (self._column if start < 0 else 0)
        return NotJsonError(f"{line}: column {column}: {message}")

    def _count_lines(self) -> None:
        self.line += self._text.count("\n", self._counted, self._place)
        self._counted = self._place

    def _read_on(self) -> None:
        """Drop what lies behind, and read at least as much as there is ahead."""
        self._count_lines()
        start = self._text.rfind("\n", 0, self._place)
        self._column = self._place - start - 1 + (self._column if start < 0 else 0)
        ahead = [self._text[self._place :]]
        missing = max(1, len(ahead[0]))
        while missing > 0 and not self._ended:
            block = next(self._blocks, "")
            self._ended = not block
            missing -= len(block)
            ahead.append(block)
        self._text, self._place, self._counted = "".join(ahead), 0, 0

"""Text that arrives in bytes: the bytes of tokens in, what may be shown of them out.

Nothing is shown that a later byte could change: neither the beginning of a character, nor the beginning of a text
that ends the generation.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextStream:
    r"""Decodes UTF-8 as it comes, and cuts it before the first of the texts in `stop`.

    Where the result is cut does not depend on how the bytes were split: the text that is complete first counts, and
    of several that end together the longest. Bytes that are no UTF-8 become U+FFFD, as in `bytes.decode`.

    Example:
        >>> stream = TextStream(stop=("\n\n",))
        >>> stream.add("é".encode()[:1]), stream.add("é".encode()[1:] + b"\n")
        (('', False), ('é', False))
        >>> stream.add(b"\n...")
        ('', True)
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._stop = tuple(stop)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""

    def add(self, content: bytes) -> tuple[str, bool]:
        """What may be shown now that `content` follows, and whether a stop text is complete."""
        text = self._held + self._decoder.decode(content)
        found = [
            (text.index(stop) + len(stop), text.index(stop)) for stop in self._stop if stop in text
        ]
        if found:
            _, start = min(found)
            self._held = ""
            return text[:start], True
        shown = len(text) - self._beginning_of_stop(text)
        self._held = text[shown:]
        return text[:shown], False

    def rest(self) -> str:
        """What was held back, once nothing follows; an incomplete character is dropped."""
        text, self._held = self._held, ""
        return text

    def _beginning_of_stop(self, text: str) -> int:
        """Length of the longest end of `text` that is the beginning of a stop text."""
        longest = max((len(stop) - 1 for stop in self._stop), default=0)
        lengths = range(min(longest, len(text)), 0, -1)
        return next((n for n in lengths if any(s.startswith(text[-n:]) for s in self._stop)), 0)

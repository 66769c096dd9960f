"""From pieces of text to the OpenAI API's answers. In: `Piece`s of each choice. Out: plain values for JSON."""

from __future__ import annotations

import codecs
import math
from collections.abc import Sequence
from typing import Any

from kgpt.inference.continuation import Piece

LOWEST = -9999.0
"""The API's logarithm of a probability that is zero."""


class Choice:
    """One text of an answer."""

    def __init__(self, index: int, prompt: str = "", with_logprobs: bool = False) -> None:
        self.index, self.tokens = index, 0
        self.finish_reason: str | None = None
        self._text: list[str] = []
        self._prompt, self._with_logprobs = prompt, with_logprobs
        self._marks: list[tuple[int, Piece]] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._length = len(prompt)
        self._sent = 0

    def add(self, pieces: Sequence[Piece]) -> dict[str, Any] | None:
        """Take the next pieces; the choice of a chunk, if there is something to send."""
        shown = "" if self.tokens else self._prompt
        shown += "".join(piece.text for piece in pieces)
        self._text.append(shown)
        self.tokens += len(pieces)
        for piece in pieces if self._with_logprobs else ():
            self._marks.append((self._length, piece))
            self._length += len(self._decoder.decode(piece.bytes))
        if reason := pieces[-1].reason:
            self.finish_reason = "length" if reason == "length" else "stop"
        if not shown and not reason:
            return None
        first, self._sent = self._sent, len(self._marks)
        return self._as_dict(shown, self._marks[first:])

    def whole(self) -> dict[str, Any]:
        """The choice of an answer that is complete."""
        return self._as_dict("".join(self._text), self._marks)

    def _as_dict(self, text: str, marks: Sequence[tuple[int, Piece]]) -> dict[str, Any]:
        return {
            "text": text,
            "index": self.index,
            "logprobs": self._logprobs(marks) if self._with_logprobs else None,
            "finish_reason": self.finish_reason,
        }

    def _logprobs(self, marks: Sequence[tuple[int, Piece]]) -> dict[str, Any]:
        if self.finish_reason:  # the tokens of a stop text are no part of the answer
            end = len("".join(self._text))
            marks = [mark for mark in marks if mark[0] < end]
        return {
            "tokens": [token_text(piece.bytes) for _, piece in marks],
            "token_logprobs": [logarithm(piece.probability) for _, piece in marks],
            "top_logprobs": [
                {
                    token_text(other.bytes): logarithm(other.probability)
                    for other in piece.alternatives
                }
                for _, piece in marks
            ],
            "text_offset": [offset for offset, _ in marks],
        }


def token_text(content: bytes) -> str:
    r"""A token as text; one that is no text by itself as `bytes:\xc3`."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in content)


def logarithm(probability: float) -> float:
    """Natural logarithm, never minus infinity."""
    return math.log(probability) if probability > 0 else LOWEST


def usage(prompts: Sequence[Sequence[int]], choices: Sequence[Choice]) -> dict[str, int]:
    """Counts of tokens: each prompt once, and every text."""
    read, written = sum(map(len, prompts)), sum(choice.tokens for choice in choices)
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
    }

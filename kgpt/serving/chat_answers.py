"""From pieces of an answer to the OpenAI API's chat completions. In: `Piece`s of each choice. Out: values for JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kgpt.inference.continuation import Piece
from kgpt.serving.completions import Choice, logarithm, token_text


class ChatChoice(Choice):
    """One answer; `shown` takes from its pieces what is not for people."""

    def __init__(
        self, index: int, shown: Callable[[Piece], Piece], with_logprobs: bool = False
    ) -> None:
        super().__init__(index, with_logprobs=with_logprobs)
        self._shown = shown
        self._is_begun = False

    def add(self, pieces: Sequence[Piece]) -> dict[str, Any] | None:
        """Take the next pieces; the choice of a chunk, if there is something to send."""
        choice = super().add([self._shown(piece) for piece in pieces])
        if choice is None:
            return None
        choice["delta"] = {"content": choice.pop("text")}
        if not self._is_begun:
            choice["delta"]["role"] = "assistant"
            self._is_begun = True
        return choice

    def whole(self) -> dict[str, Any]:
        """The choice of an answer that is complete."""
        choice = super().whole()
        choice["message"] = {"role": "assistant", "content": choice.pop("text")}
        return choice

    def _logprobs(self, marks: Sequence[tuple[int, Piece]]) -> dict[str, Any]:
        return {
            "content": [
                {
                    **_chance(piece.bytes, piece.probability),
                    "top_logprobs": [
                        _chance(other.bytes, other.probability) for other in piece.alternatives
                    ],
                }
                for _, piece in marks
                if piece.bytes
            ]
        }


def _chance(content: bytes, probability: float) -> dict[str, Any]:
    return {
        "token": token_text(content),
        "logprob": logarithm(probability),
        "bytes": list(content),
    }

"""One text being written: the model's scores in, its next piece out. What computes the scores is not its concern.

Axes: V vocabulary.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kgpt.inference import sampling
from kgpt.inference.text_stream import TextStream
from kgpt.protocol import GenerateOptions
from kgpt.text.tokenizer import Tokenizer

Reason = Literal["length", "stop", "end_of_text", "cancelled"]


@dataclasses.dataclass(frozen=True, slots=True)
class Alternative:
    """A token that the model could have taken."""

    token: int
    bytes: bytes
    probability: float


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """One token, and the text that may be shown now that it is there."""

    token: int
    bytes: bytes
    """What the token adds to the text; nothing, if it is the end of text."""
    text: str
    """Whole characters. It can be empty, and it can hold the end of what earlier tokens began."""
    probability: float
    """How probable the model itself held this token, before the options."""
    alternatives: tuple[Alternative, ...]
    """The model's most probable tokens, by the same measure."""
    reason: Reason | None
    """Why the generation ends with this piece; None if it goes on."""


class Continuation:
    """What follows one prompt. Its choices depend on its own seed alone, whatever else is written meanwhile."""

    def __init__(
        self,
        prompt: Sequence[int],
        options: GenerateOptions,
        tokenizer: Tokenizer,
        alternatives: int = 0,
    ) -> None:
        self.window = list(prompt)
        """The tokens that the model still sees: `kgpt.inference.context` adds to them and takes from them."""
        self._options, self._tokenizer, self._alternatives = options, tokenizer, alternatives
        self.random = np.random.default_rng(options.seed)
        """All choices of this text come from it."""
        self._text = TextStream(options.stop)
        self._seen = list(prompt)
        self._count = 0

    def take(self, logits_V: NDArray[Any], is_last: bool = False) -> Piece:
        """Choose the next token by the model's scores; `is_last` ends the text with it. Raises as `distribution`."""
        return self.add(self.draw(self.distribution(logits_V)), logits_V, is_last)

    def distribution(self, logits_V: NDArray[Any], ahead: Sequence[int] = ()) -> sampling.Scores:
        """Probability (V,) of each token to be taken by these scores, after the tokens `ahead` if there are any.

        Raises:
            KgptError: the options name an id that is none, or forbid every token.
            KgptFailure: a score is NaN, or none is above minus infinity.
        """
        seen = [*self._seen, *ahead] if ahead else self._seen
        return sampling.distribution(logits_V, self._options, seen, self._count + len(ahead))

    def draw(self, probabilities_V: sampling.Scores) -> int:
        """A token drawn from a distribution."""
        return sampling.choose(probabilities_V, self.random)

    def add(self, token: int, logits_V: NDArray[Any], is_last: bool = False) -> Piece:
        """Take a token that was chosen where the model's scores were these."""
        self._seen.append(token)
        self._count += 1
        added = content(self._tokenizer, token)
        shown, stopped = self._text.add(added)
        is_last = is_last or self._count == self._options.max_tokens
        reason = ending(self._tokenizer, token, stopped, is_last)
        if reason and not stopped:
            shown += self._text.rest()
        own, others = self._own(token, logits_V)
        return Piece(token, added, shown, own, others, reason)

    def _own(self, token: int, logits_V: NDArray[Any]) -> tuple[float, tuple[Alternative, ...]]:
        """How probable the model holds a token, and those that it holds most probable."""
        if not self._alternatives:
            return sampling.own_probability(logits_V, token), ()
        model_V = sampling.own_probabilities(logits_V)
        others = tuple(
            Alternative(other, content(self._tokenizer, other), float(model_V[other]))
            for other in sampling.top(model_V, self._alternatives)
        )
        return float(model_V[token]), others


def content(tokenizer: Tokenizer, token: int) -> bytes:
    """What a token adds to a text."""
    return b"" if token == tokenizer.end_of_text else tokenizer.token_bytes(token)


def ending(tokenizer: Tokenizer, token: int, stopped: bool, is_last: bool) -> Reason | None:
    """Why a text ends with a token, which may have completed a stop text or be the last allowed."""
    if token == tokenizer.end_of_text:
        return "end_of_text"
    return "stop" if stopped else "length" if is_last else None

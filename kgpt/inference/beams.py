"""Beam search: prompts in, the continuations that are most probable as a whole out, or nearly so.

After each token the search keeps the most probable of all continuations of its beams. A finished continuation is worth
the sum of its tokens' log-probabilities over its length to the power of `length_penalty`; the search ends when no
running one can beat the finished ones. The rules are those of transformers' `generate(num_beams=...)`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgpt.errors import KgptError
from kgpt.inference import sampling
from kgpt.inference.context import Decoder, advance
from kgpt.inference.continuation import Reason
from kgpt.language import _
from kgpt.protocol import GenerateOptions

Ending = Callable[[Sequence[int], GenerateOptions], Reason | None]

OF_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "seed")
"""Options that mean nothing to a search."""


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """A continuation."""

    ids: list[int]
    log_probability: float
    """Sum over its tokens, after biases and penalties."""
    reason: Reason = "length"


class BeamSearch:
    """One search, with a decoder of its own.

    Raises:
        KgptError: there are no beams, the length penalty is no number, or an option belongs to sampling.
    """

    def __init__(
        self,
        decoder: Decoder,
        options: GenerateOptions,
        beams: int,
        length_penalty: float,
        ending: Ending,
    ) -> None:
        _check(options, beams, length_penalty)
        self.decoder, self.options, self.beams = decoder, options, beams
        self.length_penalty, self.ending = length_penalty, ending

    def run(self, prompt: list[int]) -> list[Hypothesis]:
        """The best continuations found, at most as many as beams, the best first."""
        running, finished = [Hypothesis([], 0.0)], list[Hypothesis]()
        logits_BV = self.decoder.prefill([prompt])
        windows = [list(prompt)]
        for count in range(1, self.options.max_tokens + 1):
            is_last = count == self.options.max_tokens
            origins, running, ended = self._step(prompt, running, logits_BV, is_last)
            finished = sorted(finished + ended, key=self._worth, reverse=True)[: self.beams]
            if not running or self._is_decided(running, finished):
                break
            # A full batch from the first step on: one shape, one compilation.
            rows = origins + origins[:1] * (self.beams - len(origins))
            self.decoder.select(rows)
            windows = [list(windows[row]) for row in rows]
            tokens = [hypothesis.ids[-1] for hypothesis in running]
            tokens += tokens[:1] * (self.beams - len(tokens))
            logits_BV = advance(self.decoder, windows, tokens)
        return finished

    def _step(
        self,
        prompt: list[int],
        running: list[Hypothesis],
        logits_BV: NDArray[Any],
        is_last: bool,
    ) -> tuple[list[int], list[Hypothesis], list[Hypothesis]]:
        """The rows that go on, what they have become, and what has ended."""
        totals_BV = np.stack(
            [
                hypothesis.log_probability + self._log_probabilities(prompt, hypothesis, logits_V)
                for hypothesis, logits_V in zip(running, logits_BV, strict=False)
            ]
        )
        size = totals_BV.shape[1]
        origins, going, ended = list[int](), list[Hypothesis](), list[Hypothesis]()
        # Twice as many as beams, so that enough go on even where one of each ends.
        for rank, place in enumerate(sampling.top(totals_BV.ravel(), 2 * self.beams)):
            row, token = divmod(place, size)
            total = float(totals_BV[row, token])
            if total == -np.inf:
                break
            ids = [*running[row].ids, token]
            reason = self.ending(ids, self.options) or ("length" if is_last else None)
            if reason and rank < self.beams:
                ended.append(Hypothesis(ids, total, reason))
            elif not reason and len(going) < self.beams:
                origins.append(row)
                going.append(Hypothesis(ids, total))
        return origins, going, ended

    def _log_probabilities(
        self, prompt: list[int], hypothesis: Hypothesis, logits_V: NDArray[Any]
    ) -> sampling.Scores:
        with np.errstate(divide="ignore"):
            scores_V = np.log(sampling.softmax(sampling.finite_scores(logits_V)))
        seen = [*prompt, *hypothesis.ids]
        return sampling.adjusted(scores_V, self.options, seen, len(hypothesis.ids))

    def _worth(self, hypothesis: Hypothesis) -> float:
        return float(hypothesis.log_probability / len(hypothesis.ids) ** self.length_penalty)

    def _is_decided(self, running: list[Hypothesis], finished: list[Hypothesis]) -> bool:
        """Whether there are enough finished ones, and even the best running one is worth less."""
        is_full = len(finished) == self.beams
        return is_full and self._worth(running[0]) <= self._worth(finished[-1])


def _check(options: GenerateOptions, beams: int, length_penalty: float) -> None:
    if isinstance(beams, bool) or not isinstance(beams, int) or beams < 1:
        raise _bad("beams", _("a whole number, at least 1"), beams)
    if not np.isfinite(length_penalty):
        raise _bad("length_penalty", _("a finite number"), length_penalty)
    defaults = dataclasses.asdict(GenerateOptions())
    for name in OF_SAMPLING:
        value = getattr(options, name)
        if value != defaults[name] and not (name == "temperature" and value == 0):
            raise _bad(name, _("left out: beam search draws nothing"), value)


def _bad(name: str, expected: str, value: object) -> KgptError:
    return KgptError(
        _("Bad generation option"),
        _(
            "{name} must be {expected}. Received: {name}={value!r}",
            name=name,
            expected=expected,
            value=value,
        ),
        _("See `kgpt sample --help`."),
    )

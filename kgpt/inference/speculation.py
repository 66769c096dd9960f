"""Speculative decoding: a small model, the draft, proposes tokens, and the large one reads them all at once.

Of each proposal the large model keeps as much as leaves its own distribution unchanged, and puts one token of its own
behind that (Leviathan et al., 2023, arXiv:2211.17192; Chen et al., 2023, arXiv:2302.01318). The most probable tokens
are so the same ones as without a draft, and drawn tokens have the same probabilities, whatever the draft proposes: it
decides about speed alone.

Axes: V vocabulary.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgpt.errors import KgptError
from kgpt.inference.context import Decoder, advance, slide
from kgpt.inference.continuation import Continuation, Piece
from kgpt.inference.sampling import Scores, choose
from kgpt.language import _
from kgpt.protocol import DRAFT_TOKENS


@dataclass(frozen=True)
class Proposal:
    """A token, and the distribution (V,) that it was drawn from."""

    token: int
    probabilities_V: Scores


class Speculation:
    """A draft model at work for a larger one.

    Raises:
        KgptError: there is nothing to propose, or the draft's context is too short for that.
    """

    def __init__(self, draft: Decoder, count: int = DRAFT_TOKENS) -> None:
        if count < 1:
            raise _bad(_("draft_tokens must be at least 1. Received: {count}", count=count))
        if draft.context_length < 2 * (count + 1):
            raise _bad(
                _(
                    "A draft that proposes {count} tokens needs a context of {needed}. "
                    "Received: one of {context_length}.",
                    count=count,
                    needed=2 * (count + 1),
                    context_length=draft.context_length,
                )
            )
        self.draft, self.count = draft, count
        self.proposed = self.accepted = 0
        """Tokens, of all texts so far."""

    def read(self, window: Sequence[int]) -> Proposer:
        """A proposer that has read the beginning of a text."""
        return Proposer(self.draft.fresh(), window, self.count)

    def pieces(
        self, text: Continuation, target: Decoder, logits_V: NDArray[Any], proposer: Proposer
    ) -> Iterator[Piece]:
        """What follows `text.window`, which both models have read, the target with these scores. Raises as `take`."""
        piece = text.take(logits_V)
        yield piece
        window, news = text.window, [piece.token]
        while not piece.reason:
            if target.length + self.count >= target.size:
                piece = text.take(advance(target, [window], [piece.token])[0])
                news.append(piece.token)
                yield piece
                continue
            proposals = proposer.propose(text, news)
            window.append(piece.token)
            scores = target.extend([piece.token, *(p.token for p in proposals)])
            news, self.proposed = [], self.proposed + len(proposals)
            for proposal, scores_V in zip(proposals, scores, strict=False):
                token = _judged(proposal, text.distribution(scores_V), text.random)
                is_accepted = token == proposal.token
                self.accepted += is_accepted
                piece = text.add(token, scores_V)
                news.append(token)
                yield piece
                if piece.reason:
                    return
                if not is_accepted:
                    break
                window.append(token)
            else:
                piece = text.take(scores[-1])
                news.append(piece.token)
                yield piece
            target.cut(len(window))


class Proposer:
    """A draft model that follows one text, behind whose end it proposes tokens."""

    def __init__(self, decoder: Decoder, window: Sequence[int], count: int) -> None:
        self._decoder, self._window, self._count = decoder, list(window), count
        slide(self._window, decoder.context_length)
        decoder.prefill([self._window])
        self._proposed: list[int] = []
        """What the draft has read of its last proposal."""

    def branch(self) -> Proposer:
        """Another that goes on from here."""
        other = copy.copy(self)
        other._decoder, other._window = self._decoder.branch(), list(self._window)
        return other

    def propose(self, text: Continuation, news: Sequence[int]) -> list[Proposal]:
        """The next tokens, drawn as the text's options say; `news` is what was written since the last proposal."""
        logits_V = self._follow(news)
        proposals: list[Proposal] = []
        while True:
            ahead = [proposal.token for proposal in proposals]
            probabilities_V = text.distribution(logits_V, ahead)
            proposals.append(Proposal(text.draw(probabilities_V), probabilities_V))
            if len(proposals) == self._count:
                self._proposed = ahead
                return proposals
            logits_V = self._decoder.step([proposals[-1].token])[0]

    def _follow(self, news: Sequence[int]) -> NDArray[Any]:
        """Scores (V,) after what was written, of which the draft may have read a part as its own proposal."""
        pairs = zip(self._proposed, news[:-1], strict=False)
        known = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
        self._decoder.cut(len(self._window) + known)
        self._window += news
        if len(self._window) + self._count > self._decoder.context_length:
            del self._window[: -(self._decoder.context_length // 2)]
            logits_1V = self._decoder.prefill([self._window])
        else:
            for token in news[known:]:
                logits_1V = self._decoder.step([token])
        return np.asarray(logits_1V[0])


def _judged(proposal: Proposal, probabilities_V: Scores, random: np.random.Generator) -> int:
    """The proposed token, or one from what the target's distribution has more of than the draft's."""
    token, drafted_V = proposal.token, proposal.probabilities_V
    if random.random() * drafted_V[token] < probabilities_V[token]:
        return token
    return choose(np.maximum(probabilities_V - drafted_V, 0.0), random)


def _bad(what: str) -> KgptError:
    return KgptError(_("Bad draft"), what, _("See `kgpt sample --help`."))

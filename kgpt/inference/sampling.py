"""The choice of the next token: scores (logits) in, a distribution and a token out. Pure functions on numpy.

The options mean what they mean in transformers and apply in its order: logit bias, repetition penalty, frequency and
presence penalties (OpenAI's; transformers has none), repeated n-grams, forbidden tokens, temperature, top-k, top-p,
min-p, typical-p. Everything is computed in float64, whatever the scores come in. Axes: B batch, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgpt.errors import KgptError, KgptFailure
from kgpt.language import _
from kgpt.protocol import GenerateOptions

Scores = NDArray[np.float64]
BLOCK = 64


def distribution(
    logits_V: NDArray[Any], options: GenerateOptions, seen: Sequence[int], generated: int = 0
) -> Scores:
    """Probability (V,) of each token to be taken, `seen` being the ids so far, the last `generated` after the prompt.

    With temperature 0 the whole probability is on the first of the highest scores.

    Raises:
        KgptError: the options name an id that is none, or forbid every token.
        KgptFailure: a score is NaN, or none is above minus infinity.
    """
    finite_V = finite_scores(logits_V)
    with np.errstate(over="ignore"):  # a huge penalty or bias can overflow
        scores_V = adjusted(finite_V, options, seen, generated)
    if scores_V is not finite_V:
        scores_V = finite_scores(scores_V)
    if options.temperature == 0:
        return np.eye(1, scores_V.size, int(scores_V.argmax()), dtype=np.float64).ravel()
    scores_V = scores_V - scores_V.max()
    if options.temperature != 1:
        with np.errstate(over="ignore"):  # a tiny one sends every score but the highest to -inf
            scores_V /= options.temperature
    probabilities_V = softmax(keep_top_k(scores_V, options.top_k))
    probabilities_V = keep_min_p(keep_top_p(probabilities_V, options.top_p), options.min_p)
    return keep_typical_p(probabilities_V, options.typical_p)


def adjusted(
    scores_V: Scores, options: GenerateOptions, seen: Sequence[int], generated: int = 0
) -> Scores:
    """The scores after biases, penalties and prohibitions; the arguments are those of `distribution`.

    Raises:
        KgptError: the options name an id that is none, or forbid every token.
    """
    o = options
    scores_V = penalize(bias(scores_V, o.logit_bias), seen, o.repetition_penalty)
    news = seen[len(seen) - generated :]
    scores_V = discourage(scores_V, news, o.frequency_penalty, o.presence_penalty)
    scores_V = forbid(scores_V, repeating(seen, o.no_repeat_ngram_size))
    return forbid(scores_V, o.forbidden)


def choose(probabilities_V: Scores, generator: np.random.Generator) -> int:
    """A token drawn from a distribution, by one uniform number; never one of probability 0."""
    # First a block, then a token in it: a running sum over the whole vocabulary would take four times as long.
    sums = np.add.reduceat(probabilities_V, np.arange(0, probabilities_V.size, BLOCK))
    block, rest = _place(sums, generator.random() * float(sums.sum()))
    token, _ = _place(probabilities_V[BLOCK * block : BLOCK * (block + 1)], rest)
    return BLOCK * block + token


def _place(weights: Scores, drawn: float) -> tuple[int, float]:
    """Where a number below the sum of weights falls, and how far into that weight; never on one that is 0."""
    cumulative = weights.cumsum()
    last_possible = cumulative.searchsorted(cumulative[-1])
    place = int(min(cumulative.searchsorted(max(drawn, 0.0), side="right"), last_possible))
    return place, drawn - float(cumulative[place] - weights[place])


def most_probable(logits_BV: NDArray[Any]) -> list[int]:
    """For each row, the first of its highest scores.

    Raises:
        KgptFailure: a score is NaN.
    """
    if np.isnan(logits_BV).any():
        raise _unusable("NaN")
    return [int(token) for token in logits_BV.argmax(axis=-1)]


def top(probabilities_V: NDArray[Any], count: int) -> list[int]:
    """The `count` most probable tokens, the most probable first, equal ones by id."""
    count = min(count, probabilities_V.size)
    if count == 0:
        return []
    threshold = np.partition(probabilities_V, -count)[-count]
    candidates = np.flatnonzero(probabilities_V >= threshold)
    order = np.argsort(-probabilities_V[candidates], kind="stable")
    return [int(token) for token in candidates[order][:count]]


def softmax(scores_V: Scores) -> Scores:
    """Probabilities (V,) of scores whose highest is finite."""
    weights_V = np.exp(scores_V - scores_V.max())
    weights_V /= weights_V.sum()
    return np.asarray(weights_V, dtype=np.float64)


def own_probability(logits_V: NDArray[Any], token: int) -> float:
    """Probability of one token by the scores alone; raises as `own_probabilities`."""
    weights_V, total = _own_weights(logits_V)
    return float(weights_V[token]) / total


def own_probabilities(logits_V: NDArray[Any]) -> NDArray[Any]:
    """Probabilities (V,) by the scores alone, in float32: to show, not to draw from.

    Raises:
        KgptFailure: a score is NaN, or none is above minus infinity.
    """
    weights_V, total = _own_weights(logits_V)
    weights_V *= 1.0 / total
    return weights_V


def _own_weights(logits_V: NDArray[Any]) -> tuple[NDArray[Any], float]:
    highest = logits_V.max()
    if not np.isfinite(highest):
        logits_V = finite_scores(logits_V)
        highest = logits_V.max()
    weights_V = np.asarray(np.exp(logits_V - highest))
    return weights_V, float(weights_V.sum(dtype=np.float64))


def finite_scores(logits_V: NDArray[Any]) -> Scores:
    """The scores in float64, none of them plus infinity: where one is, only such tokens stay possible.

    Raises:
        KgptFailure: a score is NaN, or none is above minus infinity.
    """
    scores_V = np.asarray(logits_V, dtype=np.float64)
    highest = scores_V.max()
    if np.isnan(highest) or highest == -np.inf:
        raise _unusable("NaN" if np.isnan(highest) else _("minus infinity"))
    return np.where(scores_V == np.inf, 0.0, -np.inf) if highest == np.inf else scores_V


# === The options, in their order ===


def bias(scores_V: Scores, biases: Mapping[int, float]) -> Scores:
    """Add to the scores of some ids."""
    if not biases:
        return scores_V
    scores_V = scores_V.copy()
    scores_V[_known(biases, scores_V.size)] += np.fromiter(biases.values(), dtype=np.float64)
    return scores_V


def penalize(scores_V: Scores, seen: Sequence[int], penalty: float) -> Scores:
    """Divide the positive scores of the `seen` ids by `penalty` and multiply the negative ones (arXiv:1909.05858)."""
    if penalty == 1.0:
        return scores_V
    ids = np.unique(np.asarray(seen, dtype=np.int64))
    chosen = scores_V[ids]
    scores_V = scores_V.copy()
    scores_V[ids] = np.where(chosen < 0, chosen * penalty, chosen / penalty)
    return scores_V


def discourage(
    scores_V: Scores, generated: Sequence[int], frequency: float, presence: float
) -> Scores:
    """Take from each generated id's score `frequency` for each time it came and `presence` once (OpenAI's rule)."""
    if not generated or frequency == presence == 0.0:
        return scores_V
    ids, counts = np.unique(np.asarray(generated, dtype=np.int64), return_counts=True)
    scores_V = scores_V.copy()
    scores_V[ids] -= frequency * counts + presence
    return scores_V


def repeating(seen: Sequence[int], size: int) -> list[int]:
    """The ids that would complete a sequence of `size` ids that was `seen` before (Paulus et al., arXiv:1705.04304)."""
    if not 0 < size <= len(seen):
        return []
    ids = np.asarray(seen, dtype=np.int64)
    starts = np.lib.stride_tricks.sliding_window_view(ids, size)
    is_begun = (starts[:, :-1] == ids[len(ids) - size + 1 :]).all(axis=1)
    return [int(token) for token in np.unique(starts[is_begun, -1])]


def forbid(scores_V: Scores, ids: Iterable[int]) -> Scores:
    """Minus infinity for some ids.

    Raises:
        KgptError: one is no id, or nothing is left.
    """
    chosen = _known(ids, scores_V.size)
    if not len(chosen):
        return scores_V
    scores_V = scores_V.copy()
    scores_V[chosen] = -np.inf
    if scores_V.max() == -np.inf:
        raise KgptError(
            _("Every token is forbidden"),
            _("By forbidden and no_repeat_ngram_size no token is left that may be taken."),
            _("Forbid less."),
        )
    return scores_V


def keep_top_k(scores_V: Scores, k: int) -> Scores:
    """The k highest scores, and those equal to the lowest of them; 0 keeps all."""
    if not 0 < k < scores_V.size:
        return scores_V
    threshold = np.partition(scores_V, -k)[-k]
    return np.where(scores_V < threshold, -np.inf, scores_V)


def keep_top_p(probabilities_V: Scores, p: float) -> Scores:
    """The fewest most probable tokens whose probabilities reach `p` (Holtzman et al., 2020, arXiv:1904.09751)."""
    if p >= 1.0:
        return probabilities_V
    # Tokens below this bound add up to less than 1 - p: none of them is kept, and none need be sorted.
    candidates = np.flatnonzero(probabilities_V > (1.0 - p) / probabilities_V.size)
    candidates = candidates[np.argsort(-probabilities_V[candidates], kind="stable")]
    sorted_probabilities = probabilities_V[candidates]
    before = sorted_probabilities.cumsum() - sorted_probabilities
    return _only(probabilities_V, candidates[(before < p) | (np.arange(candidates.size) == 0)])


def keep_min_p(probabilities_V: Scores, p: float) -> Scores:
    """The tokens at least `p` times as probable as the most probable one (arXiv:2407.01082)."""
    if p == 0.0:
        return probabilities_V
    return _only(
        probabilities_V, np.flatnonzero(probabilities_V >= p * float(probabilities_V.max()))
    )


def keep_typical_p(probabilities_V: Scores, p: float) -> Scores:
    """The tokens whose surprise is nearest to its mean, until they reach `p` (Meister et al., arXiv:2202.00666)."""
    if p >= 1.0:
        return probabilities_V
    candidates = np.flatnonzero(probabilities_V)
    surprise = -np.log(probabilities_V[candidates])
    distance = np.abs(surprise - probabilities_V[candidates] @ surprise)
    candidates = candidates[np.argsort(distance, kind="stable")]
    reached = probabilities_V[candidates].cumsum()
    return _only(probabilities_V, candidates[: int((reached < p).sum()) + 1])


def _known(ids: Iterable[int], size: int) -> NDArray[np.int64]:
    found = np.fromiter(ids, dtype=np.int64)
    if len(found) and found.max() >= size:
        raise KgptError(
            _("No such token"),
            _(
                "The model knows ids 0 to {size}. Received: {found}.",
                size=size - 1,
                found=found.max(),
            ),
            _("`kgpt tokenize` shows the ids of a text."),
        )
    return found


def _only(probabilities_V: Scores, kept: NDArray[np.intp]) -> Scores:
    result_V = np.zeros_like(probabilities_V)
    result_V[kept] = probabilities_V[kept] / probabilities_V[kept].sum()
    return result_V


def _unusable(what: str) -> KgptFailure:
    return KgptFailure(
        _("The model's scores cannot be used"),
        _("Expected numbers to choose the next token by. Received: {what}.", what=what),
        _("The training may have diverged: try an earlier checkpoint (--checkpoint STEP)."),
    )

"""When training has gone wrong: a loss that is no number, or a spike that does not go away.

In: the losses of the latest steps. Out: how long ago it went wrong, if it did.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence

WINDOW = 100
"""Steps that a loss is compared with."""
RUN_LENGTH = 5
"""Steps in a row that make a spike: one strange batch makes one high loss, and harms nothing."""
RECENT = WINDOW + RUN_LENGTH
"""Losses to keep."""
LEAST_RISE = 0.1
"""A spike lies above the median by this share of it at least, however small the scatter was."""
OVERFLOWS_IN_A_ROW = 30
"""Updates skipped in a row that float16 is allowed: thirty halvings bring any loss scale down to nothing."""


def steps_gone_wrong(losses: Sequence[float], deviations: float) -> int:
    """Number of steps at the end of `losses` that have gone wrong; 0 where all is well.

    The latest loss is not finite: 1. Or each of the latest five lies above the median of the hundred before them by
    `deviations` robust standard deviations, and by a tenth of the median: 5. The deviation is told by the differences
    of neighbours (1.4826 times their median size, over the root of two), so that a loss that falls steadily has little.
    With `deviations` 0, or fewer than fifty losses to compare with, nothing is a spike.
    """
    if not losses:
        return 0
    if not math.isfinite(losses[-1]):
        return 1
    before, latest = losses[-RECENT:-RUN_LENGTH], losses[-RUN_LENGTH:]
    if not deviations or len(before) < WINDOW // 2:
        return 0
    median = statistics.median(before)
    if latest[-1] <= median * (1 + LEAST_RISE):
        return 0
    jumps = (abs(loss - previous) for previous, loss in itertools.pairwise(before))
    scatter = 1.4826 / math.sqrt(2) * statistics.median(jumps)
    limit = median + max(deviations * scatter, LEAST_RISE * abs(median))
    return RUN_LENGTH if min(latest) > limit else 0

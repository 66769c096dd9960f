"""Which documents are held out for validation.

In: a key and a size for each document. Out: a flag for each. Equal documents have equal keys and are always on the same
side. Keys and flags may be memory maps of any length; what is held in memory does not grow with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kgpt.errors import KgptError
from kgpt.language import _

ValidationOption = Literal["random", "tail"]

_BUCKET_BITS = 20
_SLICE = 1 << 20
_MOST_PASSED_OVER = 100
"""Documents too large for the room that is left, after which the share counts as full."""


def hold_out_random(
    keys: NDArray[Any], sizes: NDArray[Any], held_out: NDArray[Any], fraction: float, seed: int
) -> None:
    """Hold out documents in a random order, drawn by their keys, until they fill `fraction` of the bytes.

    Args:
        keys: uint64 (documents,).
        sizes: bytes of each document, 0 for one that is left out (documents,).
        held_out: bool (documents,); set here.
        fraction: share of the bytes. Documents that do not fit into it are passed over; if none fits, the smallest one
            is taken.
        seed: of the draw.

    Raises:
        KgptError: there is only one document, or all are equal.
    """
    filled = np.zeros(1 << _BUCKET_BITS)
    for part in slices(len(keys)):
        buckets = _buckets(keys[part], seed)
        filled += np.bincount(buckets, weights=sizes[part], minlength=len(filled))
    order = np.flatnonzero(filled)
    if len(order) < 2:
        raise _too_little(keys, sizes)
    target = fraction * filled.sum()
    is_chosen = np.zeros(len(filled), bool)
    is_chosen[_fill(order, filled[order], target)] = True
    _mark(keys, sizes, held_out, is_chosen, seed)


def hold_out_by_threshold(
    keys: NDArray[Any], sizes: NDArray[Any], held_out: NDArray[Any], fraction: float, seed: int
) -> None:
    """Hold out every document whose key, drawn anew, lies below `fraction` of all.

    A document's side depends on itself alone, so parts of a corpus that are prepared apart agree about it; the share is
    only right on average. Arguments are those of `hold_out_random`.
    """
    is_chosen = np.arange(1 << _BUCKET_BITS) < fraction * (1 << _BUCKET_BITS)
    _mark(keys, sizes, held_out, is_chosen, seed)


def hold_out_tail(
    keys: NDArray[Any],
    sizes: NDArray[Any],
    is_copy: NDArray[Any],
    held_out: NDArray[Any],
    fraction: float,
) -> None:
    """Hold out the longest tail of at most `fraction` of the bytes; one document at least, none that came before.

    Arguments are those of `hold_out_random`, and `is_copy`, bool (documents,): whether an equal document came before.

    Raises:
        KgptError: there is only one document, or all are equal.
    """
    last_new = _last(sizes, is_copy)
    if last_new < 1:
        raise _too_little(keys, sizes)
    target = fraction * float(np.sum(sizes, dtype=np.float64))
    tail = slice(min(_tail_start(sizes, target), last_new), len(keys))
    is_kept = np.asarray(sizes[tail]) > 0
    new_keys = keys[tail][is_kept & ~np.asarray(is_copy[tail], bool)]
    held_out[tail] = is_kept & np.isin(keys[tail], new_keys)


def random_share(keys: NDArray[Any], seed: int) -> NDArray[np.float64]:
    """A number from 0 to 1 for each key, independent of the one that the split is drawn by (documents,)."""
    share: NDArray[np.float64] = _mixed(keys, ~seed) / 2.0**64
    return share


def _tail_start(sizes: NDArray[Any], target: float) -> int:
    """The first document of the longest tail of at most `target` bytes; never document 0."""
    done = 0.0
    for part in reversed(list(slices(len(sizes)))):
        from_end = done + np.cumsum(np.asarray(sizes[part][::-1], np.float64))
        fits = int(np.searchsorted(from_end, target, side="right"))
        if fits < len(from_end):
            return max(1, min(int(part.stop) - fits, len(sizes) - 1))
        done = float(from_end[-1])
    return 1


def _last(sizes: NDArray[Any], is_copy: NDArray[Any]) -> int:
    """The last document that is kept and no copy; -1 if there is none."""
    for part in reversed(list(slices(len(sizes)))):
        found = np.flatnonzero((np.asarray(sizes[part]) > 0) & ~np.asarray(is_copy[part], bool))
        if len(found):
            return int(part.start + found[-1])
    return -1


def _fill(order: NDArray[Any], sizes: NDArray[Any], target: float) -> NDArray[Any]:
    """Of the buckets in `order`, those that fill `target`: each that still fits, the smallest if none does."""
    fitting = np.flatnonzero(sizes <= target)
    if not len(fitting):
        return order[[int(np.argmin(sizes))]]
    chosen: list[NDArray[Any]] = []
    start, room = int(fitting[0]), target
    for _attempt in range(_MOST_PASSED_OVER):
        filled = np.cumsum(sizes[start:])
        count = int(np.searchsorted(filled, room, side="right"))
        chosen.append(order[start : start + count])
        room -= float(filled[count - 1]) if count else 0.0
        start += count + 1
        if start >= len(sizes):
            break
    return np.concatenate(chosen)


def _mark(
    keys: NDArray[Any],
    sizes: NDArray[Any],
    held_out: NDArray[Any],
    is_chosen: NDArray[Any],
    seed: int,
) -> None:
    for part in slices(len(keys)):
        held_out[part] = is_chosen[_buckets(keys[part], seed)] & (np.asarray(sizes[part]) > 0)


def slices(length: int) -> Iterator[slice]:
    """0 to `length` in slices small enough to hold in memory what belongs to one."""
    for start in range(0, length, _SLICE):
        yield slice(start, min(start + _SLICE, length))


def _buckets(keys: NDArray[Any], seed: int) -> NDArray[Any]:
    return (_mixed(keys, seed) >> np.uint64(64 - _BUCKET_BITS)).astype(np.int64)


def _mixed(keys: NDArray[Any], seed: int) -> NDArray[np.uint64]:
    """Keys and seed mixed by SplitMix64's finaliser (Steele, Lea and Flood, 2014)."""
    step = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        mixed = np.asarray(keys, np.uint64) + np.uint64(seed & (1 << 64) - 1) * step + step
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


def _too_little(keys: NDArray[Any], sizes: NDArray[Any]) -> KgptError:
    kept = int(np.count_nonzero(sizes))
    return too_little(
        _("All {kept} documents are equal", kept=kept)
        if kept > 1
        else _("There are {kept} documents", kept=kept)
    )


def too_little(what: str) -> KgptError:
    """The error for text that cannot be split; `what` says why."""
    return KgptError(
        _("Too little text"),
        _("{what}: none can be held out for validation.", what=what),
        _("Give more."),
    )

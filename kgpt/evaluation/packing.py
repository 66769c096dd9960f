"""Which tokens a model reads together: requests in, batches of a few fixed shapes out.

The requests of a group, such as the choices of a question, mostly begin alike. What they share is read once: a row
holds the shared ids, then the branches one after the other; each token sees the shared ids and its own branch, at the
positions it would have alone. Rows go into batches by length, the longest first; lengths and numbers of rows come from
a short list, because the model is compiled for each pair of them. Axes: B rows, T places, N scored tokens. NumPy alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from os.path import commonprefix
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgpt.evaluation.pairs import Request

LONGEST_SHARED_ROW = 1024
"""Places of a row with several branches at most; a longer one alone has as many as it needs."""
TOKENS_AT_ONCE = 4096
"""Places in a batch, where that is not less than a row."""
MOST_ROWS = 128
PADDING = -1
"""Segment of a place that holds nothing."""


@dataclass
class Row:
    """Ids that are read together. `segments` is 0 for what is shared, 1 and so on for each branch."""

    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)
    scored: list[tuple[int, list[int], list[int]]] = field(default_factory=list)
    """The number of a request, the places after which its tokens come, and these tokens."""

    @property
    def branches(self) -> int:
        """How many continuations of the shared ids it has."""
        return max(self.segments, default=0)


@dataclass(frozen=True)
class Batch:
    """Rows of one shape, and what is scored in them."""

    ids_BT: NDArray[np.int32]
    positions_BT: NDArray[np.int32]
    segments_BT: NDArray[np.int32]
    places_N: NDArray[np.int32]
    """Places in the flattened rows (B * T) after which a scored token comes."""
    targets_N: NDArray[np.int32]
    owners_N: NDArray[np.int64]
    """Number of the request that each scored token belongs to."""

    @property
    def is_plain(self) -> bool:
        """No row has a branch: every token sees all before it."""
        return bool(self.segments_BT.max() <= 0)


def batches(requests: Sequence[Request], context_length: int) -> Iterator[Batch]:
    """Batches in which each request is scored once.

    Raises:
        KgptError: a continuation does not fit into the context.
    """
    rows = list(_rows(requests, context_length))
    rows.sort(key=lambda row: -len(row.ids))
    first = 0
    while first < len(rows):
        length = padded_length(len(rows[first].ids))
        most = max(1, min(MOST_ROWS, TOKENS_AT_ONCE // length))
        yield _batch(rows[first : first + most], length, most)
        first += most


def padded_length(length: int) -> int:
    """The length of rows that a row goes into: steps of an eighth to a quarter, so that few shapes waste little."""
    step = 16
    while length > 8 * step:
        step *= 2
    return -(-length // step) * step


def _rows(requests: Sequence[Request], context_length: int) -> Iterator[Row]:
    groups: dict[Any, list[int]] = {}
    for number, request in enumerate(requests):
        key = ("alone", number) if request.group is None else ("group", request.group)
        groups.setdefault(key, []).append(number)
    for numbers in groups.values():
        yield from _group_rows([(n, *_read(requests[n], context_length)) for n in numbers])


def _read(request: Request, context_length: int) -> tuple[list[int], list[int]]:
    """What the model reads, and the tokens that are scored: the last ones, moved by one."""
    ids, _ = request.cut(context_length)
    return ids[:-1], ids[-len(request.continuation) :]


def _group_rows(items: list[tuple[int, list[int], list[int]]]) -> Iterator[Row]:
    shared = len(commonprefix([ids for _, ids, _ in items])) if len(items) > 1 else 0
    row = Row()
    for number, ids, targets in items:
        if not shared:
            row = Row()
        elif row.ids and len(row.ids) + len(ids) - shared > LONGEST_SHARED_ROW:
            yield row
            row = Row()
        _add(row, number, ids, targets, shared)
        if not shared:
            yield row
    if shared:
        yield row


def _add(row: Row, number: int, ids: list[int], targets: list[int], shared: int) -> None:
    if not row.ids:
        row.ids += ids[:shared]
        row.positions += range(shared)
        row.segments += [0] * shared
    start, segment = len(row.ids), row.branches + 1 if shared else 0
    row.ids += ids[shared:]
    row.positions += range(shared, len(ids))
    row.segments += [segment] * (len(ids) - shared)
    before = range(len(ids) - len(targets), len(ids))
    places = [place if place < shared else start + place - shared for place in before]
    row.scored.append((number, places, targets))


def _batch(rows: Sequence[Row], length: int, most: int) -> Batch:
    count = most
    while count >= 2 * len(rows):
        count = -(-count // 2)
    ids, positions, segments = (np.zeros((count, length), "int32") for _ in range(3))
    segments[:] = PADDING
    places, targets, owners = [], [], []
    for index, row in enumerate(rows):
        taken = len(row.ids)
        ids[index, :taken], positions[index, :taken] = row.ids, row.positions
        segments[index, :taken] = row.segments
        for number, where, what in row.scored:
            places += [index * length + place for place in where]
            targets += what
            owners += [number] * len(what)
    return Batch(
        ids, positions, segments, _ints(places), _ints(targets), np.asarray(owners, "int64")
    )


def _ints(values: Iterable[int]) -> NDArray[np.int32]:
    return np.fromiter(values, "int32")

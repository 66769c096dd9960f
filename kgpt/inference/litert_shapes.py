"""Which graphs a LiteRT file has, and their names: what the converter writes and the decoder looks for."""

from __future__ import annotations

from dataclasses import dataclass

HIDDEN = -1e9
"""Score of a place that may not be seen, or holds nothing."""
SMALLEST_CACHE = 128
PROMPTS = (32, 128, 512)
ROWS = (1, 8, 32)
TOGETHER = 8


@dataclass(frozen=True)
class Shapes:
    """The sizes that have a graph."""

    rows: tuple[int, ...]
    """Rows of a step."""
    sizes: tuple[int, ...]
    """Places of the cache, up to the context."""
    prompts: tuple[int, ...]
    """Places of a prompt that begins a text."""
    extension: int
    """Places of a prompt that goes on with one; 0 where one graph reads a whole context."""
    together: int
    """Tokens read at once with the scores of each."""

    def groups(self, count: int) -> list[int]:
        """The rows of the graphs that decode `count` texts soonest, the largest first."""
        best: list[tuple[int, ...]] = [()]
        for number in range(1, count + 1):
            ways = [(size, *best[max(0, number - size)]) for size in self.rows]
            best.append(min(ways, key=lambda way: sum(map(_time, way))))
        return sorted(best[count], reverse=True)

    @property
    def together_sizes(self) -> tuple[int, ...]:
        """Places of the cache where tokens are read together: every second size, for a graph takes seconds to make."""
        return tuple(reversed(self.sizes[::-2]))


def _time(rows: int) -> float:
    """Of a step, used rows or not, over that of one row: about as measured with models of 1 to 124 million weights."""
    return 1 + (rows - 1) / 5


def shapes_for(context_length: int) -> Shapes:
    """The sizes for a context: powers of two, and the context itself."""
    sizes, size = [], SMALLEST_CACHE
    while size < context_length:
        sizes.append(size)
        size *= 2
    prompts = [places for places in PROMPTS if places < context_length]
    if context_length <= PROMPTS[-1]:
        prompts.append(context_length)
    return Shapes(
        rows=ROWS,
        sizes=(*sizes, context_length),
        prompts=tuple(prompts),
        extension=PROMPTS[1] if context_length > PROMPTS[-1] else 0,
        together=min(TOGETHER, context_length),
    )


def decode_name(rows: int, size: int) -> str:
    """A step of `rows` rows with a cache of `size` places."""
    return f"decode_{rows}x{size}"


def prefill_name(places: int) -> str:
    """The first `places` tokens of a text."""
    return f"prefill_{places}"


def extend_name(places: int, size: int) -> str:
    """`places` more tokens after those in a cache of `size` places."""
    return f"extend_{places}_after_{size}"


def together_name(places: int, size: int) -> str:
    """`places` more tokens, with the scores of each, after those in a cache of `size` places."""
    return f"together_{places}_after_{size}"

"""Which tensors of another program are which of ours, and the way there and back, bit for bit.

In: a table of `Correspondence`s and tensors by one side's names. Out: the tensors by the other side's names, one after
the other, so that only one is in memory at a time; or what does not fit, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.model.shapes import Shape

Array = NDArray[np.float32]

LISTED = 10
"""Names that an error spells out."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in somebody's file."""

    shape: Shape
    read: Callable[[], Array]
    """Its values, in float32."""


@dataclass(frozen=True)
class Correspondence:
    """One tensor of theirs, made of one or more of ours side by side."""

    name: str
    """Theirs."""
    parts: tuple[str, ...]
    """Ours, below `gpt/`; joined along their last axis."""
    shape: Shape
    """Theirs."""
    transposed: bool = False
    """Whether theirs is the transpose."""

    def split(self, value: Array, shapes: Mapping[str, Shape]) -> Iterator[tuple[str, Array]]:
        """Our tensors, by our names, from theirs."""
        widths = [shapes[part][-1] for part in self.parts]
        joined = value.T if self.transposed else value.reshape(*shapes[self.parts[0]][:-1], -1)
        pieces = np.split(joined, np.cumsum(widths)[:-1].tolist(), axis=-1)
        yield from zip(self.parts, pieces, strict=True)

    def join(self, read: Callable[[str], Array]) -> Array:
        """Their tensor from ours."""
        pieces = [read(part) for part in self.parts]
        joined = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=-1)
        return joined.T if self.transposed else joined.reshape(self.shape)


def ours(
    layout: Sequence[Correspondence],
    tensors: Mapping[str, StoredTensor],
    shapes: Mapping[str, Shape],
) -> Iterator[tuple[str, Array]]:
    """Our tensors, in the order of `layout`, each read when it is asked for."""
    for item in layout:
        yield from item.split(tensors[item.name].read(), shapes)


def check_tensors(
    layout: Sequence[Correspondence], tensors: Mapping[str, StoredTensor], source: object
) -> None:
    """Refuse tensors that are not those of `layout`.

    Raises:
        KgptError: some are missing, too many, or of another shape; the message names them.
    """
    expected = {item.name: item.shape for item in layout}
    wrong = {
        "missing": [name for name in expected if name not in tensors],
        "not expected": sorted(set(tensors) - set(expected)),
    }
    if any(wrong.values()):
        found = "; ".join(
            f"{len(names)} {what}: {listed(names)}" for what, names in wrong.items() if names
        )
        raise KgptError(
            _("Weights do not fit the architecture"),
            f"{source}: {found}.",
            _("The configuration beside the weights must be the one they were made with."),
        )
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise KgptError(
                _("Weights do not fit the architecture"),
                _(
                    "{source}: expected {name} of shape {shape}, received {shape_2}.",
                    source=source,
                    name=name,
                    shape=shape,
                    shape_2=tuple(tensors[name].shape),
                ),
                _("The configuration beside the weights must be the one they were made with."),
            )


def listed(names: Sequence[str]) -> str:
    """The names, or the first of them and how many more there are."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more

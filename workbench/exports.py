"""Exports of runs in child processes, which go on while one looks at other things.

In: a run, a format, a place. Out: an `Export` whose state any screen can show. Knows no Textual.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kgpt.errors import KgptError
from kgpt.files import remove_leftovers
from workbench.children import Job

FORMATS = {
    "saved-model": ("float32", "bfloat16"),
    "keras": ("float32",),
    "litert": ("float32", "int8"),
}
"""What `kgpt export` writes, and how each can store weights."""

ExportState = Literal["running", "done", "failed", "stopped"]


@dataclass(frozen=True)
class ExportOrder:
    """What is to be written."""

    run: Path
    format: str
    output: Path
    weights: str = "float32"
    checkpoint: str = "best"
    overwrite: bool = False

    def arguments(self) -> list[str]:
        """The arguments of `kgpt`."""
        values = [self.format, str(self.output), self.weights, self.checkpoint]
        options = ("--format", "--output", "--weights", "--checkpoint")
        pairs = [text for pair in zip(options, values, strict=True) for text in pair]
        return ["export", str(self.run), *pairs, *(["--overwrite"] if self.overwrite else [])]


def default_output(run: str, format: str) -> str:
    """Where an export goes unless one says otherwise."""
    return f"exported/{run}-{format}"


@dataclass
class Export:
    """One export, from its beginning to its end."""

    order: ExportOrder
    job: Job
    state: ExportState = "running"
    result: dict[str, object] = field(default_factory=dict)
    error: KgptError | None = None

    async def work(self) -> None:
        """Export; how it ended is in `state`, nothing is raised."""
        try:
            self.result = await self.job.run()
            self.state = "done"
        except KgptError as error:
            self.error = error
            self.state = "stopped" if self.job.is_cancelled else "failed"
            if self.job.was_killed:  # what cleans up after itself has left nothing
                remove_leftovers(self.order.output.parent, of=f"{self.order.output.stem}-")

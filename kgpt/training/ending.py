"""How a call of `train` ends: with a result, or with an error that the run folder tells too.

In: a run, and what has happened. Out: a `TrainResult`; or `status.json` and the log with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kgpt.errors import KgptError, KgptFailure
from kgpt.runs import RunFolder
from kgpt.training.checkpoints import CheckpointWriter


@dataclass(frozen=True)
class TrainResult:
    """How a call of `train` ended."""

    run: RunFolder
    steps: int
    """Updates that the run has seen, over all its processes."""
    seconds: float
    finished: bool
    """False: it was asked to stop before its last step, and can be resumed."""
    validation_loss: float | None
    bits_per_byte: float | None
    """None where text is labelled, and not written."""
    tokens_per_second: float | None


def median_speed(run: RunFolder) -> float | None:
    """Tokens a second, of the rows that a run has logged."""
    speeds = [row["tokens_per_second"] for row in run.metrics() if row.get("tokens_per_second")]
    return sorted(speeds)[len(speeds) // 2] if speeds else None


def tell_failure(
    run: RunFolder,
    writer: CheckpointWriter,
    error: BaseException,
    step: int | None,
    steps: int,
    say: Callable[[str], None],
) -> None:
    """Finish the checkpoint that is being written, and note why training ended; nothing is raised."""
    title = error.title if isinstance(error, KgptError) else type(error).__name__
    message = error.message if isinstance(error, KgptError) else str(error)[:500]
    try:
        writer.wait()  # what was begun is finished, whatever happened since
    except BaseException as unwritten:
        message += f" The latest checkpoint could not be written either: {unwritten}"
    try:
        run.write_status(
            "stopped" if isinstance(error, KeyboardInterrupt) else "failed",
            step=step,
            steps=steps,
            error={"title": title, "message": message},
        )
        say(f"{title}: {message}")
    except KgptFailure:  # the disk is full: the error itself is on its way to the user
        pass

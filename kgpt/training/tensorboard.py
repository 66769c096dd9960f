"""A run's rows for TensorBoard, beside `metrics.jsonl`.

In: rows as a `Reporter` gets them. Out: event files in `RUN/tensorboard/`, for `tensorboard --logdir saved_models`.
Written by the `tensorboard` package itself, so that it works on every backend.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from kgpt.files import is_number

NOT_PLOTTED = ("step", "tokens", "seconds")


class TensorBoard:
    """A reporter that writes each number of a row as a scalar, and hands everything on to another reporter."""

    def __init__(self, folder: Path, step: int, reporter: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._reporter = reporter
        self._writer = EventFileWriter(str(folder))
        # TensorBoard forgets what an earlier process wrote from this step on
        self._add(step + 1, session_log=SessionLog(status=SessionLog.START))
        self._writer.flush()

    def message(self, text: str) -> None:
        """Hand it on."""
        self._reporter.message(text)

    def row(self, row: dict[str, Any], steps: int) -> None:
        """Write the numbers of a row, and hand it on."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [
            Summary.Value(tag=key, simple_value=float(value))
            for key, value in row.items()
            if key not in NOT_PLOTTED and is_number(value)
        ]
        self._add(row["step"], summary=Summary(value=values))
        self._writer.flush()
        self._reporter.row(row, steps)

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()

    def _add(self, step: int, **content: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.add_event(Event(wall_time=time.time(), step=step, **content))

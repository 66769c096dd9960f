"""Notebooks executed: cells in, the same with outputs and the seconds it took out; a wrong claim is an error."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from kgpt.learning.checking import NOT_YET, STRICT
from notebooks.lessons import ROOT, LessonError

SECONDS = 600
"""A lesson that is not done by then is given up."""
_COLOURS = re.compile(r"\x1b\[[\d;]*m")


@dataclass(frozen=True)
class Spent:
    """What a lesson took."""

    seconds: float
    processor: float
    """Seconds of processor, of all cores together. Other programs on the machine hardly change them."""


def execute(notebook: Any, name: str) -> Spent:
    """Run all cells in a folder of their own; outputs are kept in `notebook`.

    Raises:
        LessonError: a cell fails, or a check outside the cells tagged `exercise` does not hold.
    """
    began, busy = time.monotonic(), _children()
    with tempfile.TemporaryDirectory(prefix="lesson-") as folder:
        client = NotebookClient(
            notebook,
            timeout=SECONDS,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": folder}},
        )
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, STRICT: "1", "PYTHONPATH": path, "PYTHONHASHSEED": "0"}
        environment.pop("MPLBACKEND", None)
        try:
            # What libraries say about the machine is not part of a lesson.
            client.execute(env=environment, stderr=subprocess.DEVNULL)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise LessonError(f"{name}: a cell fails\n{_COLOURS.sub('', str(error))}") from error
    for cell in notebook.cells:
        if cell.cell_type == "code":
            _tidy(cell, name)
    return Spent(time.monotonic() - began, _children() - busy)


def _children() -> float:
    """Seconds of processor that ended child processes, and theirs, have used."""
    times = os.times()
    return times.children_user + times.children_system


def _tidy(cell: Any, name: str) -> None:
    """Drop what libraries write about the machine, and join what was printed in pieces."""
    cell.metadata.pop("execution", None)
    kept: list[Any] = []
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stderr":
            continue
        if kept and output.output_type == kept[-1].output_type == "stream":
            kept[-1].text += output.text
        else:
            kept.append(output)
    cell.outputs = kept
    printed = "".join(output.text for output in kept if output.output_type == "stream")
    if "WARNING:" in printed:
        raise LessonError(f"{name}: a library's warning among what the lesson prints:\n{printed}")
    if NOT_YET in printed and "exercise" not in cell.metadata.get("tags", []):
        raise LessonError(f"{name}: not right, in a cell not tagged `exercise`:\n{printed}")

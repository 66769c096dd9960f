"""Notebooks executed: cells in, the same with outputs and the seconds it took out; a wrong claim is an error."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from kgpt.learning.checking import NOT_YET, STRICT
from notebooks.lessons import ROOT, LessonError

SECONDS = 600
"""A lesson that is not done by then is given up."""
_COLOURS = re.compile(r"\x1b\[[\d;]*m")


def execute(notebook: Any, name: str) -> float:
    """Run all cells in a folder of their own; outputs are kept in `notebook`. The seconds it took.

    Raises:
        LessonError: a cell fails, or a check outside the cells tagged `exercise` does not hold.
    """
    began = time.monotonic()
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
        except CellExecutionError as error:
            raise LessonError(f"{name}: a cell fails\n{_COLOURS.sub('', str(error))}") from error
    for cell in notebook.cells:
        if cell.cell_type == "code":
            _tidy(cell, name)
    return time.monotonic() - began


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
    if NOT_YET in printed and "exercise" not in cell.metadata.get("tags", []):
        raise LessonError(f"{name}: not right, in a cell not tagged `exercise`:\n{printed}")

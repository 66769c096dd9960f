"""The beginning of every lesson: the language in; settings that make results repeatable, and a printed line, out."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import sys
from typing import Any

from kgpt import language as speech
from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.learning.language import LANGUAGE, LANGUAGES, say

SETTINGS = {
    "TF_CPP_MIN_LOG_LEVEL": "2",  # TensorFlow's notes about the machine are not part of a lesson
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # other open notebooks need their share of a GPU's memory
    "OPENBLAS_NUM_THREADS": "1",  # NumPy's threads wait for each other longer than small matrices take
    "NVIDIA_TF32_OVERRIDE": "0",  # a GPU's short floats would turn "equal" into "almost equal"
}


def begin(language: str) -> None:
    """Set the notebook's language, prepare for CPU or GPU, and print that all is ready.

    To be called before NumPy and Keras are imported: they read some of the settings only then. What kgpt itself says,
    here and in child processes, is in the notebook's language from now on.

    Raises:
        KgptError: there are no lessons in this language.
    """
    if language not in LANGUAGES:
        raise KgptError(
            _("Unknown language"),
            _(
                "Expected one of {expected}. Received: {language!r}",
                expected=", ".join(LANGUAGES),
                language=language,
            ),
            _("Open a notebook of notebooks/pt or notebooks/en."),
        )
    os.environ[LANGUAGE] = language
    os.environ[speech.VARIABLE] = speech.PORTUGUESE if language == "pt" else speech.ENGLISH
    speech.use(os.environ[speech.VARIABLE])
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("tensorflow").addFilter(_is_error)
    _watch_the_order()
    print(say("Tudo pronto", "All is ready"), f"(Python {platform.python_version()}).")
    if shutil.which("nvidia-smi") is not None:
        print(
            say(
                "Há uma GPU aqui: os últimos algarismos podem diferir dos impressos no texto.",
                "There is a GPU here: last digits may differ from those printed in the text.",
            )
        )


def _is_error(record: logging.LogRecord) -> bool:
    """Notebooks print what TensorFlow logs; a level would not do, as it sets its own when it is imported."""
    return record.levelno >= logging.ERROR


def _watch_the_order() -> None:
    """In a notebook, say what to do after a cell that lacks a name."""
    if "IPython" not in sys.modules:
        return
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is not None:
        shell.events.register("post_run_cell", after_cell)


def after_cell(result: Any) -> None:
    """Say what to do if the cell failed for want of a name: mostly, a cell above it has not been run.

    Args:
        result: IPython's result of the cell, with `error_in_exec`.
    """
    if isinstance(result.error_in_exec, NameError):
        print(
            say(
                "Falta um nome que uma célula mais acima cria? Execute antes as de cima "
                "(Run → Run All Above Selected Cell), e depois esta de novo.",
                "Is the missing name made by a cell further up? Run those above first "
                "(Run → Run All Above Selected Cell), and then this one again.",
            )
        )

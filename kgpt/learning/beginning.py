"""The beginning of every lesson: the language in; settings that make results repeatable, and a printed line, out."""

from __future__ import annotations

import os
import platform
import shutil

from kgpt.errors import KgptError
from kgpt.learning.language import LANGUAGE, LANGUAGES, say

SETTINGS = {
    "TF_CPP_MIN_LOG_LEVEL": "2",  # TensorFlow's notes about the machine are not part of a lesson
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # other open notebooks need their share of a GPU's memory
    "NVIDIA_TF32_OVERRIDE": "0",  # a GPU's short floats would turn "equal" into "almost equal"
}


def begin(language: str) -> None:
    """Set the notebook's language, prepare for CPU or GPU, and print that all is ready.

    To be called before Keras is imported: TensorFlow reads some of the settings only then.

    Raises:
        KgptError: there are no lessons in this language.
    """
    if language not in LANGUAGES:
        raise KgptError(
            "Unknown language",
            f"Expected one of {', '.join(LANGUAGES)}. Received: {language!r}",
            "Open a notebook of notebooks/pt or notebooks/en.",
        )
    os.environ[LANGUAGE] = language
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    has_gpu = shutil.which("nvidia-smi") is not None
    print(say("Tudo pronto", "All is ready"), f"(Python {platform.python_version()}).")
    if has_gpu:
        print(
            say(
                "Há uma GPU aqui: os últimos algarismos podem diferir dos impressos no texto.",
                "There is a GPU here: last digits may differ from those printed in the text.",
            )
        )

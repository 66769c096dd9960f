"""Texts that the user keeps: rows of `generations.jsonl` in the run's folder, beside the trainer's own samples.

Knows no Textual.
"""

from __future__ import annotations

from pathlib import Path

from kgpt.files import append_json_line
from workbench.generations import Generation, options_dict

SAVED = "generations.jsonl"


def save(generation: Generation) -> Path:
    """Append a text, with its prompt and options, to the file of its run, and say which that is.

    Raises:
        KgptFailure: the disk is full or the file cannot be written.
    """
    file = generation.target.run / SAVED
    row = {
        "step": generation.target.step,
        "prompt": generation.prompt,
        "text": generation.text,
        "tokens": generation.tokens,
        **({"messages": generation.messages} if generation.messages else {}),
        **options_dict(generation.options),
    }
    append_json_line(file, row)
    return file

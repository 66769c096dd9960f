"""The small model of the later lessons: nothing in; a run that has read two subjects of the encyclopedia out.

The lessons on sampling, fine-tuning and serving need a model that knows something. It is trained once, in less than a
minute, and kept in a temporary folder, where the next lesson finds it.
"""

from __future__ import annotations

import dataclasses
import getpass
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgpt.errors import KgptError, KgptFailure
from kgpt.files import put_in_place
from kgpt.language import _
from kgpt.learning.language import say

if TYPE_CHECKING:
    from kgpt.config import TrainConfig
    from kgpt.inference.generation import Generator
    from kgpt.runs import RunFolder
    from kgpt.text.shards import Corpus

SUBJECTS = ("brazilian_states", "solar_system")
"""Of the encyclopedia: few facts, so that a small model soon knows them."""
BYTES = 250_000
VOCABULARY = 1024
STEPS = 300


def lesson_folder() -> Path:
    """The user's folder for what the lessons make: data, runs, exports. It may be deleted at any time.

    Raises:
        KgptError: somebody else has made a folder of that name.
    """
    folder = Path(tempfile.gettempdir()) / f"kgpt-lessons-{getpass.getuser()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
        raise KgptError(
            _("Not your folder"),
            _("{folder} belongs to somebody else.", folder=folder),
            _("Name another folder for temporary files: TMPDIR=DIR."),
        )
    return folder


def small_corpus() -> Corpus:
    """The text that the small model reads, prepared: 250 kB on Brazil's states and the Solar System, 1,024 tokens.

    Raises:
        KgptFailure: the disk is full or cannot be written.
    """
    from kgpt.text.encyclopedia.compose import write_documents
    from kgpt.text.encyclopedia.tables import load_subjects
    from kgpt.text.prepare import prepare
    from kgpt.text.shards import Corpus

    subjects = [subject for subject in load_subjects() if subject.key in SUBJECTS]
    documents = write_documents(subjects, 1, target_bytes=BYTES)
    rows = "".join(json.dumps({"text": one}, ensure_ascii=False) + "\n" for one in documents)
    digest = hashlib.sha256(f"{VOCABULARY} {rows}".encode()).hexdigest()
    folder = lesson_folder() / f"small-data-{digest[:12]}"
    try:
        found = Corpus.open(folder)
        found.verify()
        return found
    except (KgptError, KgptFailure):  # not there yet, or no longer whole
        pass
    with tempfile.TemporaryDirectory(dir=lesson_folder()) as aside:
        source = Path(aside) / "small.jsonl"
        source.write_text(rows, encoding="utf-8")
        made = prepare([source], Path(aside) / "data", vocabulary_size=VOCABULARY)
        put_in_place(made.folder, folder)
    return Corpus.open(folder)


def small_config(**changes: Any) -> TrainConfig:
    """How the small model is trained: a smaller `demo`, on `small_corpus`; `changes` are other values."""
    from kgpt.presets import preset

    demo = preset("demo")
    values = {
        "data": str(small_corpus().folder),
        "run": "small",
        "model": dataclasses.replace(
            demo.model,
            vocabulary_size=VOCABULARY,
            width=96,
            feed_forward_width=192,
            context_length=64,
        ),
        "steps": STEPS,
        "minutes": 0.0,
        "evaluate_every": STEPS,
        "checkpoint_every": STEPS,
        "xla": "off",  # compiling would take longer than it saves
        "precision": "float32",
    }
    return dataclasses.replace(demo, **{**values, **changes})


def small_run() -> RunFolder:
    """The run of the small model; it is trained if no lesson has done so before.

    Raises:
        KgptFailure: the disk is full or cannot be written.
    """
    from kgpt.runs import RunFolder

    config = small_config()
    run = RunFolder(lesson_folder() / config.run)
    if is_trained(run, config):
        return run
    print(
        say(
            "Treinando o modelo pequeno das próximas aulas: menos de um minuto, uma vez só.",
            "Training the small model that the next lessons share: under a minute, just once.",
        )
    )
    from kgpt.training.trainer import train

    with tempfile.TemporaryDirectory(dir=lesson_folder()) as aside:
        put_in_place(train(config, saved_models=aside).run.path, run.path)
    return run


def small_generator() -> Generator:
    """What continues texts with the small model, by Keras."""
    from kgpt.inference.generation import load_generator

    run = small_run()
    return load_generator(run, run.checkpoint(), "keras")


def is_trained(run: RunFolder, config: TrainConfig) -> bool:
    """Whether `run` was trained as `config` says, and its weights are whole."""
    from kgpt.config_values import from_dict
    from kgpt.model.tensors import verify_checksum

    try:
        checkpoint = run.checkpoint()
        verify_checksum(checkpoint.path, checkpoint.weights_file)
        return from_dict(run.configuration()) == config
    except (KgptError, KgptFailure):
        return False

"""How a run begins or goes on: its data opened, its folder made or found, and owned.

In: a configuration. Out: a `Start` for the session. Where several processes train together, the first one does this,
and the others follow: they take the configuration from it, check that their data is the same, and keep what a session
writes in a folder that nobody sees.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgpt.config import TrainConfig
from kgpt.config_values import from_dict, to_dict
from kgpt.files import write_json
from kgpt.runs import RunFolder, find_run, new_run, owned
from kgpt.text.shards import Corpus
from kgpt.text.tokenizer import Tokenizer
from kgpt.training.callbacks import Reporter
from kgpt.training.distribution import Devices
from kgpt.training.planning import check_fits
from kgpt.training.precision import resolved
from kgpt.training.preparation import (
    check_same_data,
    create_run_folder,
    open_corpus,
    resumed_configuration,
    training_batches,
    with_epochs,
    with_vocabulary,
)


@dataclass(frozen=True)
class Start:
    """What a session works with."""

    run: RunFolder
    """Where it writes."""
    config: TrainConfig
    corpus: Corpus
    tokenizer: Tokenizer
    result: RunFolder
    """Where the run lies, for everybody to see."""


@contextmanager
def begun(
    config: TrainConfig,
    saved_models: str | Path | None,
    resume: bool,
    reporter: Reporter,
    devices: Devices,
) -> Iterator[Start]:
    """The start of a new run, or of one that goes on; the run is owned while the block lasts.

    Raises:
        KgptError: configuration, data and run do not go together.
        KgptFailure: another process could not begin.
    """
    processes = devices.processes
    with ExitStack() as stack:

        def begin() -> Start:
            start = _first(config, saved_models, resume, reporter, devices)
            stack.enter_context(owned(start.run))
            return start

        start = processes.alone_in_first(begin)
        told = processes.from_first(lambda: _told(start))
        if start is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kgpt-")))
            try:
                start = _following(told, config, folder)
            except BaseException as error:
                processes.fail(error)
                raise
        processes.agree()
        yield start


def _first(
    config: TrainConfig,
    saved_models: str | Path | None,
    resume: bool,
    reporter: Reporter,
    devices: Devices,
) -> Start:
    if resume:
        find_run(config.run, saved_models).check_task()
    corpus = open_corpus(config.data, reporter, resume)
    tokenizer = Tokenizer.load(corpus.tokenizer_folder)
    config = with_vocabulary(config, tokenizer.vocabulary_size)
    config = with_epochs(config, training_batches(config, corpus).steps_per_epoch)
    run = find_run(config.run, saved_models) if resume else new_run(config.run, saved_models)
    if resume:
        check_same_data(run, corpus, tokenizer)
        config = resolved(resumed_configuration(run, config))
    else:
        config = resolved(config)
        if config.check_memory:
            rows = config.batch_size // devices.memories
            check_fits(dataclasses.replace(config, batch_size=rows))
        create_run_folder(run, config, corpus, tokenizer)
    return Start(run, config, corpus, tokenizer, run)


def _told(start: Start) -> dict[str, Any]:
    """What the others hear."""
    configuration = to_dict(start.config)
    return {"configuration": configuration, "run": start.run.read(), "path": str(start.run.path)}


def _following(told: Mapping[str, Any], config: TrainConfig, folder: Path) -> Start:
    result = RunFolder(Path(told["path"]))
    run = RunFolder(folder / result.name)
    run.checkpoints_folder.mkdir(parents=True)
    write_json(run.run_file, told["run"])
    corpus = open_corpus(config.data, resume=True)
    tokenizer = Tokenizer.load(corpus.tokenizer_folder)
    check_same_data(run, corpus, tokenizer)
    same = dataclasses.replace(from_dict(told["configuration"]), data=config.data)
    return Start(run, same, corpus, tokenizer, result)

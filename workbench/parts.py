"""What the application works with, each made when it is first needed: the first frame waits for none of it.

In: the application. Out: one function for each of its parts. Imports are within, because they take time too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.app import WorkbenchApp
    from workbench.attention_study import AttentionStudy
    from workbench.catalog import Catalog
    from workbench.crowd import Crowd
    from workbench.follower import Follower
    from workbench.labelling import Labelling
    from workbench.launcher import Launcher
    from workbench.playground import Playground
    from workbench.services.data import DataService
    from workbench.services.device import DeviceService
    from workbench.services.exports import ExportsService
    from workbench.services.machine import MachineService
    from workbench.services.runs import RunsService
    from workbench.services.studies import StudiesService
    from workbench.services.writing import WritingService
    from workbench.tokenizer_bench import TokenizerBench


def kgpt_command(app: WorkbenchApp) -> Sequence[str]:
    """What runs kgpt's commands."""
    from workbench.children import COMMAND

    return app.commands.kgpt or COMMAND


def data_folder(app: WorkbenchApp) -> Path:
    """The folder of the corpora."""
    from kgpt.runs import data_folder

    return data_folder()


# === What knows runs, models and tokens ===


def launcher(app: WorkbenchApp) -> Launcher:
    """Starts and stops trainers."""
    from workbench.launcher import Launcher

    return Launcher(app.root, app.kgpt_command)


def catalog(app: WorkbenchApp) -> Catalog:
    """The runs."""
    from workbench.catalog import Catalog

    return Catalog(app.root, app.clock, lambda: app.launcher.starting)


def follower(app: WorkbenchApp) -> Follower:
    """Reads the run that is watched."""
    from workbench.follower import Follower

    return Follower(partial(app.tell, "recording"), app.poll_seconds, app.tell_damage)


def crowd(app: WorkbenchApp) -> Crowd:
    """Reads the runs beside it."""
    from workbench.crowd import Crowd

    return Crowd(partial(app.tell, "recording"), app.poll_seconds, app.tell_damage)


def playground(app: WorkbenchApp) -> Playground:
    """Writes with models."""
    from workbench.engine import COMMAND, Engine
    from workbench.playground import Playground

    command = app.commands.engine or COMMAND
    engine = Engine(command, app.device.environment, app.device.decide)
    return Playground(engine, partial(app.tell, "playground"), app.stopwatch)


def attention(app: WorkbenchApp) -> AttentionStudy:
    """Looks into models."""
    from workbench.attention_study import AttentionStudy

    return AttentionStudy(app.playground, partial(app.tell, "attention"))


def labelling(app: WorkbenchApp) -> Labelling:
    """Asks classifiers."""
    from workbench.labelling import Labelling

    return Labelling(app.playground, partial(app.tell, "playground"))


def bench(app: WorkbenchApp) -> TokenizerBench:
    """Cuts texts."""
    from workbench.tokenizer_bench import TokenizerBench

    return TokenizerBench(app.playground, partial(app.tell, "tokenizers"))


# === What screens ask for ===


def runs(app: WorkbenchApp) -> RunsService:
    """Follows the folder of the runs."""
    from workbench.services.runs import RunsService

    return RunsService(app, app.catalog, app.launcher, app.ring, app.forget_run, app.poll_seconds)


def exports(app: WorkbenchApp) -> ExportsService:
    """Exports runs."""
    from workbench.services.exports import ExportsService

    return ExportsService(app, lambda: app.kgpt_command)


def writing(app: WorkbenchApp) -> WritingService:
    """Asks for texts and labels."""
    from workbench.services.writing import WritingService

    return WritingService(app, app.playground, app.labelling, app.state_path)


def studies(app: WorkbenchApp) -> StudiesService:
    """Asks for what a model looks at."""
    from workbench.services.studies import StudiesService

    return StudiesService(app, app.attention)


def data(app: WorkbenchApp) -> DataService:
    """Reads corpora."""
    from workbench.services.data import DataService

    return DataService(app, app.bench, lambda: app.data_folder)


def machine(app: WorkbenchApp) -> MachineService:
    """Reads the machine."""
    from workbench.services.machine import MachineService

    return MachineService(app, lambda: (app.root, app.data_folder))


def device(app: WorkbenchApp) -> DeviceService:
    """Decides where models write."""
    from workbench.services.device import DeviceService

    return DeviceService(app.machine, app.catalog, lambda: str(app.preferences["device"]))

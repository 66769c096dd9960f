"""Where a run computes: one device, several of this machine, or those of several machines.

In: `distribute` of a configuration, and what Keras' backend sees. Out: `Devices`, in whose scope the model is made. The
loss and the update are those of the whole batch, however many devices share it, so a checkpoint moves between them.

`mirrored` is TensorFlow's `tf.distribute.MirroredStrategy`. `data` and `model` are `keras.distribution` on JAX: each
device has all weights and some rows of the batch; or the matrices are cut over the devices of a machine as Shoeybi et
al. cut them (2019, arXiv:1909.08053), and the rows over machines.

KGPT_CPU_DEVICES=2 makes two devices of the CPU, to try things out.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import keras

from kgpt.config import TrainConfig
from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.model import hardware
from kgpt.model.size import parameter_count
from kgpt.training.accumulation import accumulate
from kgpt.training.processes import NUM_PROCESSES, Processes, processes_asked_for

CPU_DEVICES = "KGPT_CPU_DEVICES"

LARGE = 30_000_000
"""Parameters of a model whose memory is returned between steps."""
BACKENDS = {"mirrored": "tensorflow", "data": "jax", "model": "jax"}
"""The backend that has each way to use several devices."""


@dataclass(frozen=True)
class Devices:
    """What a run computes on."""

    mode: str = "off"
    names: tuple[str, ...] = ()
    placement: Any = None
    """A `tf.distribute` strategy or a `keras.distribution` one."""
    processes: Processes = field(default_factory=Processes)

    def scope(self) -> AbstractContextManager[Any]:
        """Model and optimiser must be made in it."""
        return self.placement.scope() if self.mode == "mirrored" else nullcontext()

    def install_step(self, model: keras.Model, parts: int, compiles: bool) -> None:
        """Give a compiled model the training step that works on these devices, each batch in `parts`."""
        if self.mode != "mirrored":
            accumulate(model, parts)
            return
        from kgpt.training.distribution_tensorflow import train_step

        step: Any = functools.partial(train_step, model, parts, compiles)
        object.__setattr__(model, "train_step", step)

    def feed(self, batches: Any, position: int) -> Any:
        """The `StepBatches` from `position` on, as `fit` takes them: of this process, its rows alone."""
        mine = self.processes.number, self.processes.count
        differ = any(None in array.shape for array in keras.tree.flatten(batches.arrays))
        needs_dataset = differ and keras.backend.backend() == "tensorflow"
        if self.mode != "mirrored" and not needs_dataset:
            return batches.from_step(position, *mine)
        from kgpt.training.distribution_tensorflow import dataset

        read = functools.partial(batches.from_step, position)
        return dataset(read, batches.arrays)

    @property
    def memories(self) -> int:
        """How many memories share the rows of a batch: the GPUs; devices of a CPU have the same one."""
        by_rows = self.mode in ("mirrored", "data") and not self.names[0].startswith("cpu")
        return len(self.names) if by_rows else 1

    @property
    def described(self) -> str:
        """The end of a sentence for people; empty for one device."""
        if self.mode == "off":
            return ""
        machines = f" in {self.processes.count} processes" if not self.processes.is_alone else ""
        return f"; {self.mode} on {len(self.names)} devices{machines}"


@contextmanager
def training_devices(
    config: TrainConfig, say: Callable[[str], None] = lambda text: None
) -> Iterator[Devices]:
    """The devices that a configuration asks for, in use while the block lasts.

    Raises:
        KgptError: this backend or machine does not have what was asked for, or the devices do not divide the work.
        KgptFailure: the other processes do not come, or one is lost.
    """
    if config.xla == "off" and keras.backend.backend() == "jax":
        raise KgptError(
            _("JAX needs XLA"),
            _(
                "Without it, JAX works through a step one operation after another, hundreds of times "
                "slower."
            ),
            _("Leave xla at auto, or use KERAS_BACKEND=tensorflow."),
        )
    keep_memory(config)
    processes = get_ready(config.distribute)
    devices = _chosen(config, processes, say)
    if devices.mode not in ("data", "model"):
        yield devices
        return
    with devices.placement.scope():
        try:
            yield devices
        except Exception as error:
            explained = processes.explained(error)
            if explained is error:
                raise
            raise explained from error


def keep_memory(config: TrainConfig) -> None:
    """Let the memory of one step serve the next one, for a model small enough; before anything is computed.

    A large model computes for longer, and needs what evaluations and checkpoints leave free.
    """
    if parameter_count(config.model) <= LARGE:
        hardware.keep_memory()


def get_ready(distribute: str = "off") -> Processes:
    """Set up the backend, before anything is computed: memory, CPUs, and the processes that belong together.

    Raises:
        KgptError: it cannot be had, or it is too late.
        KgptFailure: the other processes do not come.
    """
    backend = keras.backend.backend()
    if distribute in BACKENDS and backend != BACKENDS[distribute]:
        raise _wrong_backend(distribute, backend)
    count, number, address = processes_asked_for()
    if count > 1 and (backend != "jax" or distribute not in ("auto", "data", "model")):
        raise KgptError(
            _("Several processes need JAX"),
            _(
                "{num_processes} is {count}, and Keras joins processes with KERAS_BACKEND=jax and "
                "--distribute data or model alone. Received: {backend} and {distribute}",
                num_processes=NUM_PROCESSES,
                count=count,
                backend=backend,
                distribute=distribute,
            ),
            _("Set both, or leave the variable out."),
        )
    if backend == "tensorflow" and len(_workers()) > 1:
        raise KgptError(
            _("TensorFlow on one machine only"),
            _("TF_CONFIG names several workers, with which Keras 3 cannot train."),
            _("Use JAX for several machines: KERAS_BACKEND=jax kgpt-train --distribute data."),
        )
    cpus = _cpu_devices()
    if backend in ("tensorflow", "jax") and not _kernel(backend).get_ready(cpus):
        message = _(
            "{cpu_devices}={cpus} comes too late: {backend} is in use already.",
            cpu_devices=CPU_DEVICES,
            cpus=cpus,
            backend=backend,
        )
        raise KgptError(_("Devices are fixed"), message, _("Set it before the process starts."))
    if count > 1:
        _kernel("jax").join(address, count, number)
    return Processes(count, number)


def _kernel(backend: str) -> Any:
    if backend == "jax":
        from kgpt.training import distribution_jax

        return distribution_jax
    from kgpt.training import distribution_tensorflow

    return distribution_tensorflow


def _cpu_devices() -> int:
    text = os.environ.get(CPU_DEVICES, "")
    if text and not (text.isdecimal() and 1 <= int(text) <= 256):
        message = _(
            "{cpu_devices} must be a whole number from 1 to 256. Received: {text!r}",
            cpu_devices=CPU_DEVICES,
            text=text,
        )
        raise KgptError(
            _("Bad number of devices"),
            message,
            _("For example {cpu_devices}=2.", cpu_devices=CPU_DEVICES),
        )
    return int(text or 0)


def _workers() -> list[Any]:
    import json

    try:
        cluster = json.loads(os.environ.get("TF_CONFIG") or "{}")["cluster"]
        return [worker for kind in ("chief", "worker") for worker in cluster.get(kind, [])]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


# === Which devices ===


def _chosen(config: TrainConfig, processes: Processes, say: Callable[[str], None]) -> Devices:
    mode: str = config.distribute
    if mode == "off":
        return Devices()
    names = tuple(keras.distribution.list_devices())
    if mode == "auto":
        mode = _automatic(config, names, processes, say)
        if mode == "off":
            return Devices()
    if len(names) < 2:
        raise KgptError(
            _("One device only"),
            _(
                "--distribute {mode} needs two devices at least. Found: {count} ({names})",
                mode=mode,
                count=len(names),
                names=", ".join(names),
            ),
            _(
                "Use --distribute off, or try it on the CPU with {cpu_devices}=2.",
                cpu_devices=CPU_DEVICES,
            ),
        )
    if mode == "mirrored":
        _check_batch(config, len(names))
        return Devices(mode, names, _kernel("tensorflow").mirrored(list(names)), processes)
    make = _data_parallel if mode == "data" else _model_parallel
    return Devices(mode, names, make(config, names, processes), processes)


def _automatic(
    config: TrainConfig, names: tuple[str, ...], processes: Processes, say: Callable[[str], None]
) -> str:
    """Several GPUs, or processes, are used where they divide the batch."""
    if not processes.is_alone:
        return "data"
    if len(names) < 2 or names[0].startswith("cpu"):
        return "off"
    mode = {backend: mode for mode, backend in BACKENDS.items() if mode != "model"}.get(
        keras.backend.backend(), "off"
    )
    if mode != "off" and config.batch_size % len(names):
        say(f"One device of {len(names)}: they do not divide batch_size={config.batch_size}.")
        return "off"
    return mode


def _data_parallel(config: TrainConfig, names: tuple[str, ...], processes: Processes) -> Any:
    _check_batch(config, len(names))
    mesh = keras.distribution.DeviceMesh((len(names),), ["batch"], list(names))
    return keras.distribution.DataParallel(device_mesh=mesh, auto_shard_dataset=False)


def _model_parallel(config: TrainConfig, names: tuple[str, ...], processes: Processes) -> Any:
    """Matrices over the devices of a process, rows over the processes."""
    each = len(names) // processes.count
    _check_batch(config, processes.count)
    model = config.model
    for key, value in (
        ("model.num_heads", model.num_heads),
        ("key and value heads", model.kv_heads),
        ("feed-forward width", model.hidden_width),
    ):
        _check_divides(key, value, each)
    mesh = keras.distribution.DeviceMesh((processes.count, each), ["batch", "model"], list(names))
    layouts = keras.distribution.LayoutMap(mesh)
    layouts[r".*/(query|key|value|gate|up)/kernel"] = (None, "model")
    layouts[r".*/(query|key|value|gate|up)/bias"] = ("model",)
    layouts[r".*/(output|down)/kernel"] = ("model", None)
    if model.padded_vocabulary_size % each == 0:
        layouts[r".*/token_embedding/embeddings"] = ("model", None)
        layouts[r".*/head/kernel"] = (None, "model")
    return keras.distribution.ModelParallel(
        layout_map=layouts, batch_dim_name="batch", auto_shard_dataset=False
    )


def _check_batch(config: TrainConfig, count: int) -> None:
    _check_divides("batch_size", config.batch_size, count)


def _check_divides(name: str, value: int, count: int) -> None:
    if value % count:
        raise KgptError(
            _("Devices do not divide the work"),
            _(
                "With --distribute, {name} must be a multiple of {count} here. Received: {value}",
                name=name,
                count=count,
                value=value,
            ),
            _("For example {count}, or fewer devices.", count=(value // count + 1) * count),
        )


def _wrong_backend(distribute: str, backend: str) -> KgptError:
    needed, other = BACKENDS[distribute], "mirrored" if backend == "tensorflow" else "data"
    has = f"--distribute {other}" if backend in BACKENDS.values() else "one device"
    return KgptError(
        _("Not on {backend}", backend=backend),
        _(
            "Keras has --distribute {distribute} with {needed} alone; this is "
            "KERAS_BACKEND={backend}.",
            distribute=distribute,
            needed=needed,
            backend=backend,
        ),
        _("Set KERAS_BACKEND={needed}, or use {has}.", needed=needed, has=has),
    )

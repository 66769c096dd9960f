"""Before training: does a run fit, what would, how long does it take, and how much disk.

In: a `TrainConfig` and a `Machine`. Out: a `Plan`; a `Remedy` where the run does not fit; errors that carry the same
advice before a run (`check_fits`) and after one that ran out of memory (`advice_after_out_of_memory`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from kgpt.config import UNLIMITED_STEPS, TrainConfig
from kgpt.errors import KgptError, KgptFailure
from kgpt.language import _
from kgpt.model.size import parameter_count, training_flops_per_token
from kgpt.training.layout import divisors
from kgpt.training.machine import Machine, gigabytes, this_machine
from kgpt.training.memory import memory_plan
from kgpt.training.precision import capabilities, precision_of

SAFE_SHARE = 0.95
"""A run that would fill more of the free memory than this is taken not to fit."""

SHORTEST_CONTEXT = 16

UTILIZATION = {"float32": 0.55, "bfloat16": 0.3, "float16": 0.3}
"""Assumed share of a CPU's float32 matrix rate that training reaches on wide models."""

HALF_WIDTH = 64
"""Width of a model at which half of that share is assumed: small matrices are slower."""

GPU_UTILIZATION = 0.35
"""Assumed share of a GPU's peak rate."""


@dataclass(frozen=True)
class Remedy:
    """A change that makes a run fit."""

    config: TrainConfig
    options: str
    """As they are given on the command line."""
    effect: str
    """What the change means for the training."""
    peak: int
    """Bytes that the changed run needs."""


@dataclass(frozen=True)
class Time:
    """How long a run takes."""

    flops_per_second: float
    """Rate of the machine's matrix products."""
    utilization: float
    """Share of it that the model's operations reach."""
    step_seconds: float
    tokens_per_second: float
    steps: int
    seconds: float
    """Of all steps; evaluations, checkpoints and compiling come on top."""
    source: str
    """Where the numbers come from."""


# === Memory ===


def with_precision(config: TrainConfig, machine: Machine) -> TrainConfig:
    """The configuration with the precision that this machine would train in, where it is left open."""
    if config.precision != "auto":
        return config
    found = precision_of(capabilities()) if machine.gpu else "float32"
    return dataclasses.replace(config, precision=found)


def fits(config: TrainConfig, machine: Machine) -> bool:
    """Whether a run's peak stays within what the machine has to give."""
    return _peak(config, machine) <= SAFE_SHARE * machine.memory


def find_remedy(config: TrainConfig, machine: Machine) -> Remedy | None:
    """The first change that makes a run fit, in this order; None if there is none.

    1. A smaller batch with gradient accumulation: the same updates, a little slower.
    2. The blocks' insides computed again (`remat`), with that batch or a smaller one: the same updates, up to a third
       slower.
    3. A smaller batch alone: smaller updates.
    4. A shorter context, at that batch or a smaller one: another model.
    """
    for changed, options, effect in _changes(config):
        if fits(changed, machine):
            return Remedy(changed, options, effect, _peak(changed, machine))
    return None


def _peak(config: TrainConfig, machine: Machine) -> int:
    return memory_plan(config, on_gpu=bool(machine.gpu)).peak


def _changes(config: TrainConfig) -> Iterator[tuple[TrainConfig, str, str]]:
    """Changed configurations in the order of `find_remedy`, the least change of each kind first."""
    sequences = config.sequences_per_step
    smaller = [size for size in divisors(sequences)[::-1] if size < config.batch_size]
    again = "" if config.remat else " --set remat=true"
    for remat in dict.fromkeys((config.remat, True)):
        for size in smaller if remat == config.remat else [config.batch_size, *smaller]:
            parts = sequences // size
            changed = dataclasses.replace(
                config, batch_size=size, gradient_accumulation=parts, remat=remat
            )
            given = f"--batch-size {size} --gradient-accumulation {parts}"
            if size == config.batch_size:
                yield changed, again.strip(), _("the same updates, up to a third slower")
            elif remat == config.remat:
                yield changed, given, _("the same updates")
            else:
                yield changed, given + again, _("the same updates, up to a third slower")
    accumulated = " --gradient-accumulation 1" if config.gradient_accumulation > 1 else ""
    for size in range(config.batch_size - 1, 0, -1):
        changed = dataclasses.replace(config, batch_size=size, gradient_accumulation=1, remat=True)
        yield (
            changed,
            f"--batch-size {size}{accumulated}{again}",
            _("updates of {size} sequences", size=size),
        )
    length = config.model.context_length // 2
    while length >= SHORTEST_CONTEXT:
        model = dataclasses.replace(config.model, context_length=length)
        for size in sorted({config.batch_size, *smaller, 1}, reverse=True):
            parts = sequences // size if sequences % size == 0 else 1
            changed = dataclasses.replace(
                config, model=model, batch_size=size, gradient_accumulation=parts, remat=True
            )
            options = f"--context-length {length} --batch-size {size}{again}"
            if parts != config.gradient_accumulation:
                options += f" --gradient-accumulation {parts}"
            yield changed, options, _("a model that sees less text at once")
        length //= 2


def check_fits(config: TrainConfig, machine: Machine | None = None) -> None:
    """Refuse a run that does not fit into the machine's free memory, and say what would.

    `config.model.vocabulary_size` must be that of the data.

    Raises:
        KgptError: the run's computed peak is more than there is.
    """
    machine = machine or this_machine()
    config = with_precision(config, machine)
    if fits(config, machine):
        return
    raise KgptError(
        _("Not enough memory"),
        _(
            "{config}; there is {described}.",
            config=_need(config, machine),
            described=machine.described,
        ),
        advice(config, machine),
    )


def advice_after_out_of_memory(config: TrainConfig, machine: Machine | None = None) -> KgptFailure:
    """The error to end a run with that ran out of memory, with the same advice.

    What ran out was too little whatever was computed before, so the advice aims below the run's own need.
    """
    machine = machine or this_machine()
    config = with_precision(config, machine)
    less = dataclasses.replace(
        machine, memory=min(machine.memory, int(0.8 * _peak(config, machine)))
    )
    return KgptFailure(
        _("Out of memory"),
        _(
            "{config} by calculation; there is {described}.",
            config=_need(config, machine),
            described=machine.described,
        ),
        advice(config, less),
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of Python, TensorFlow, JAX or NumPy says that memory ran out.

    Names and texts are compared, so that no backend needs to be loaded.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return True
    text = str(error)
    return "RESOURCE_EXHAUSTED" in text or "OOM when allocating" in text


def advice(config: TrainConfig, machine: Machine) -> str:
    """What would fit, in a sentence or two."""
    remedy = find_remedy(config, machine)
    if remedy is not None:
        need = gigabytes(remedy.peak)
        return _(
            "This does, in {need}: {options}   ({effect})",
            need=need,
            options=remedy.options,
            effect=remedy.effect,
        )
    smallest = dataclasses.replace(config, batch_size=1, gradient_accumulation=1, remat=True)
    return _(
        "No batch or context fits: a batch of 1 takes {peak}. Take a smaller model, or plan for other "
        "devices: kgpt plan --device h100",
        peak=gigabytes(_peak(smallest, machine)),
    )


def _need(config: TrainConfig, machine: Machine) -> str:
    return _(
        "A model of {parameters:,} parameters, batch {batch} x {length:,} tokens, needs {need}",
        parameters=parameter_count(config.model),
        batch=config.batch_size,
        length=config.model.context_length,
        need=gigabytes(_peak(config, machine)),
    )


# === Time and disk ===


def computed_time(
    config: TrainConfig, flops_per_second: float, *, tokens: int | None = None
) -> Time:
    """Time from the machine's float32 matrix rate and an assumed utilisation."""
    width = config.model.width
    utilization = (
        UTILIZATION.get(config.precision, UTILIZATION["float32"]) * width / (width + HALF_WIDTH)
    )
    work = training_flops_per_token(config.model) * config.tokens_per_step
    source = (
        "one core's float32 matrix products, timed now, all cores, and an assumed share of them"
    )
    return _time(config, flops_per_second, work / flops_per_second / utilization, tokens, source)


def measured_time(
    config: TrainConfig, flops_per_second: float, step_seconds: float, *, tokens: int | None = None
) -> Time:
    """Time from measured steps."""
    return _time(config, flops_per_second, step_seconds, tokens, "steps of this run, timed now")


def _time(
    config: TrainConfig, rate: float, step_seconds: float, tokens: int | None, source: str
) -> Time:
    steps = planned_steps(config, step_seconds, tokens)
    work = training_flops_per_token(config.model) * config.tokens_per_step
    return Time(
        flops_per_second=rate,
        utilization=work / step_seconds / rate,
        step_seconds=step_seconds,
        tokens_per_second=config.tokens_per_step / step_seconds,
        steps=steps,
        seconds=steps * step_seconds,
        source=source,
    )


def planned_steps(config: TrainConfig, step_seconds: float, tokens: int | None = None) -> int:
    """Updates of a run: for so many tokens, or as the configuration limits them by steps and minutes."""
    if tokens is not None:
        return max(1, -(-tokens // config.tokens_per_step))
    in_time = int(config.minutes * 60 / step_seconds) if config.minutes else UNLIMITED_STEPS
    return max(1, min(config.steps, in_time))


def disk_use(config: TrainConfig, data: int) -> dict[str, int]:
    """Bytes on disk, by part: the checkpoints that are kept, the one being written, and the data."""
    memory = memory_plan(config)
    checkpoint = memory.weights + memory.optimizer
    kept = (config.keep + 1) * checkpoint
    return {"checkpoints": kept, "checkpoint being written": checkpoint, "data": data}

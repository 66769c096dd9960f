"""Going back: to the checkpoint that a resumed run goes on from, or from before training went wrong.

In: the run, its configuration and the compiled model. Out: the model and the `Progress` of a checkpoint, and a run
folder that holds nothing of what came after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from kgpt.config import TrainConfig
from kgpt.config_values import from_dict
from kgpt.errors import KgptFailure
from kgpt.language import _
from kgpt.model.gpt import GPT
from kgpt.runs import RunFolder
from kgpt.training.checkpoints import (
    read_last,
    remove_checkpoints_after,
    restore_last,
    rewrite_progress,
    state_variables,
)
from kgpt.training.preparation import remove_rows_after
from kgpt.training.processes import Processes
from kgpt.training.progress import Progress
from kgpt.training.schedules import decay_start

Say = Callable[[str], None]
Restore = Callable[..., Progress | None]
"""`restore_last`, or what stands for it."""


def restored_by_all(
    processes: Processes, model: GPT, work: Callable[[Restore], Progress]
) -> Progress:
    """The progress that `work` finds with the function it is given; model and optimiser are set in every process.

    Only the first process does the work, and so reads the checkpoint. The others get from it what was in there.
    """
    if processes.is_alone:
        return work(restore_last)
    tensors: dict[str, Any] = {}

    def read(run: RunFolder, model: GPT, say: Say, up_to: int | None = None) -> Progress | None:
        found = read_last(run, model, say, up_to)
        if found is None:
            return None
        tensors.clear()
        tensors.update(found[1])
        return found[0]

    progress = processes.from_first(lambda: {**asdict(work(read)), "restored": bool(tensors)})
    if progress["restored"]:
        for name, variable in state_variables(model).items():
            content = np.ascontiguousarray(tensors[name]).tobytes() if tensors else None
            flat = np.frombuffer(processes.bytes_from_first(content), np.dtype(variable.dtype))
            variable.assign(flat.reshape(variable.shape))
    return Progress.from_dict(progress)


def starting_point(
    run: RunFolder, config: TrainConfig, model: GPT, say: Say, restore: Restore = restore_last
) -> Progress:
    """Model, optimiser and progress of the newest whole checkpoint; of a new run, no progress.

    A run with the schedule `wsd` that shall have more steps than before goes on from where its rate began to fall, so
    that it becomes the run that had them from its beginning. The checkpoints after that are removed.

    Raises:
        KgptFailure: there are checkpoints, and none of them is whole.
    """
    stored = from_dict(run.configuration())
    is_extended = stored.optimizer.schedule == "wsd" and config.steps > stored.steps
    last = max((item.step for item in run.checkpoints()), default=0)
    stable = decay_start(stored.optimizer, stored.steps)
    if is_extended and stable < last:
        progress = restore(run, model, say, up_to=stable)
        if progress is not None:
            remove_checkpoints_after(run, progress.step)
            say(f"More steps: going on from step {progress.step}, before the rate began to fall.")
            return progress
    return restore(run, model, say) or Progress()


def recover(
    run: RunFolder,
    config: TrainConfig,
    model: GPT,
    progress: Progress,
    gone_wrong: int,
    say: Say,
    restore: Restore = restore_last,
) -> Progress:
    """Go back to a checkpoint from before the last `gone_wrong` steps (0: their weights are bad), and skip their data.

    The result is the progress of the checkpoint, but for the time spent and for the data, which goes on behind the
    batch that was seen last. The checkpoint remembers it: a resumed run skips the same batches.

    Raises:
        KgptFailure: the run shall stop instead, or there is nowhere to go back to.
    """
    reason = _reason(progress, gone_wrong)
    advice = _("Try a lower --learning-rate under another --run NAME.")
    if config.on_divergence == "stop":
        raise _diverged(reason, f"Resume with --set on_divergence=rollback. {advice}")
    if progress.rollbacks >= config.max_rollbacks:
        times = f"The run has gone back {progress.rollbacks} times already (max_rollbacks)."
        raise _diverged(f"{reason} {times}", advice)
    restored = restore(run, model, say, up_to=progress.step - gone_wrong)
    if restored is None:
        raise _diverged(f"{reason} There is no checkpoint from before.", advice)
    restored.batches_skipped = progress.position - restored.step
    restored.seconds, restored.rollbacks = progress.seconds, progress.rollbacks + 1
    remove_checkpoints_after(run, restored.step)
    rewrite_progress(run, restored)
    remove_rows_after(run, restored.step, repeats_evaluation=False)
    say(
        f"{reason} Back to step {restored.step}, and on with batch {restored.position}"
        f" ({restored.rollbacks} of {config.max_rollbacks} times)."
    )
    return restored


def _reason(progress: Progress, gone_wrong: int) -> str:
    if gone_wrong > 1:
        loss = progress.recent_losses[-1]
        return f"The loss has jumped to {loss:.3f} at step {progress.step}, and stayed there."
    what = "loss is not a finite number" if gone_wrong else "weights are not finite numbers"
    return f"The {what} at step {progress.step}."


def _diverged(message: str, hint: str) -> KgptFailure:
    return KgptFailure(
        _("Training diverged"),
        _("{message} The last good checkpoint is kept.", message=message),
        hint,
    )

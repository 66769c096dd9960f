"""A run as a model of the harness `lm-eval` (extra `harness`): the names of its tasks in, its results out.

Log-likelihoods come from `kgpt.evaluation.likelihood`, as those of our own tasks do; texts are written greedily by the
run's decoder. Importing this imports `lm_eval`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from kgpt.errors import KgptError, KgptFailure
from kgpt.evaluation.likelihood import LikelihoodScorer, Progress
from kgpt.evaluation.pairs import Request
from kgpt.evaluation.statistics import Figure
from kgpt.evaluation.tokens import InMemoryTokens, window, window_places
from kgpt.inference.generation import Generator
from kgpt.language import _
from kgpt.suggestions import did_you_mean

NEW_TOKENS = 256
"""That a text may have where the task does not say."""
BOOTSTRAPS = 1000


class HarnessModel(LM):  # type: ignore[misc]
    """What the harness asks of a model."""

    def __init__(
        self,
        scorer: LikelihoodScorer,
        generator: Generator,
        on_progress: Progress = lambda done, of: None,
    ) -> None:
        super().__init__()
        self.scorer, self.generator, self.on_progress = scorer, generator, on_progress

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """The log-likelihood of each (context, continuation), and whether greedy decoding writes it."""
        pairs = [request.args for request in requests]
        scores = self.scorer.score_texts(pairs, list(map(_group, requests)), self.on_progress)
        return [(score.log_likelihood, score.is_greedy) for score in scores]

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
        """The log-likelihood of each whole text, in windows that follow each other; the last one is as long as all."""
        parts: list[Request] = []
        owners: list[int] = []
        for number, request in enumerate(requests):
            for part in self._windows(request.args[0]):
                parts.append(part)
                owners.append(number)
        totals = [0.0] * len(requests)
        for owner, score in zip(owners, self.scorer.score(parts, self.on_progress), strict=True):
            totals[owner] += score.log_likelihood
        return totals

    def _windows(self, text: str) -> list[Request]:
        length, end = self.scorer.context_length, self.scorer.tokenizer.end_of_text
        tokens = InMemoryTokens(self.scorer.tokenizer.encode(text))
        found = []
        for start, _end in window_places(len(tokens), length, length):
            begin = max(0, min(start, len(tokens) - length))
            inputs, targets = window(tokens, begin, length, end)
            known = start - begin
            context, scored = inputs[: known + 1].tolist(), targets[known:].tolist()
            found.append(Request(tuple(context), tuple(scored)))
        return found

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """The greedy continuation of each context, up to the texts or the length that its task names."""
        groups: dict[tuple[tuple[str, ...], int], list[int]] = {}
        for number, request in enumerate(requests):
            groups.setdefault(_limits(request.args[1]), []).append(number)
        texts = [""] * len(requests)
        for (stop, wanted), numbers in groups.items():
            most = min(wanted, self.scorer.context_length - 1)
            prompts = [self._prompt(requests[number].args[0], most) for number in numbers]
            written = self.generator.complete_ids(prompts, most, stop=stop)
            for number, text in zip(numbers, written, strict=True):
                texts[number] = text
        return texts

    def _prompt(self, text: str, new_tokens: int) -> list[int]:
        """The last ids of a prompt, so many that the new ones find a place."""
        tokenizer = self.scorer.tokenizer
        ids = tokenizer.encode(text) or [tokenizer.end_of_text]
        return ids[-(self.scorer.context_length - new_tokens) :]


def run_tasks(
    model: HarnessModel, names: Sequence[str], limit: int | None = None, folder: str | None = None
) -> tuple[dict[str, Any], dict[str, Figure]]:
    """The results of tasks by name, as the harness gives them, and figures of those that are means over documents.

    Args:
        model: a run's.
        names: of tasks, groups or tags.
        limit: documents of each task at most.
        folder: of more tasks (YAML), besides those of the harness.

    Raises:
        KgptError: there is no such task.
        KgptFailure: its data cannot be had.
    """
    manager = _manager(folder)
    _check(names, manager)
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    try:
        found = simple_evaluate(
            model,
            tasks=list(names),
            limit=limit,
            bootstrap_iters=BOOTSTRAPS,
            task_manager=manager,
            log_samples=True,
        )
    except KgptError:
        raise
    except Exception as error:  # whatever a task's data and code raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise KgptFailure(
            _("The harness failed"),
            f"{', '.join(names)}: {type(error).__name__}: {reason[:200]}",
            _(
                "Its tasks load their data from the Hub: check the connection. --debug shows where "
                "it failed."
            ),
        ) from error
    results = {
        task: {key.replace(",none", ""): value for key, value in values.items() if key != "alias"}
        for task, values in found["results"].items()
    }
    return results, _figures(found)


@functools.cache  # it reads the names of thousands of tasks
def _manager(folder: str | None) -> Any:
    if folder is not None and not Path(folder).is_dir():
        raise KgptError(
            _("No folder of tasks"),
            _("There is no folder {folder}.", folder=folder),
            _("Give a folder of lm-eval's YAML files."),
        )
    return TaskManager(include_path=folder)


def _check(names: Sequence[str], manager: Any) -> None:
    for name in names:
        if name not in manager.all_tasks:
            raise KgptError(
                _("Unknown task"),
                _(
                    "lm-eval has no task {name!r}.{value}",
                    name=name,
                    value=did_you_mean(name, manager.all_tasks),
                ),
                _("`lm-eval ls tasks` lists them."),
            )


def _figures(found: dict[str, Any]) -> dict[str, Figure]:
    figures = {}
    for task, samples in (found.get("samples") or {}).items():
        better = found["higher_is_better"].get(task) or {}
        samples = sorted(samples, key=lambda sample: sample["doc_id"])
        for metric in samples[0]["metrics"] if samples else ():
            values = [sample.get(metric) for sample in samples]
            if metric.startswith("acc") and all(isinstance(value, int | float) for value in values):
                higher = better.get(metric) is not False
                figures[f"{task} {metric}"] = Figure.of(values, higher_is_better=higher)
    return figures


def _group(request: Any) -> Hashable:
    """Requests about one document share their context."""
    if request.doc_id is None:
        return None
    return (request.task_name, request.doc_id)


def _limits(options: dict[str, Any]) -> tuple[tuple[str, ...], int]:
    """Texts that end a continuation, and its tokens at most."""
    if options.get("do_sample") or float(options.get("temperature") or 0) > 0:
        raise KgptError(
            _("Sampling is not offered"),
            _("The task asks for texts that are drawn by chance."),
            _("Choose a task that is answered greedily."),
        )
    until = options.get("until") or ()
    stop = (until,) if isinstance(until, str) else tuple(text for text in until if text)
    return stop, int(options.get("max_gen_toks") or options.get("max_new_tokens") or NEW_TOKENS)

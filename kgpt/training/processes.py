"""The processes that train one model together, on one machine or several; usually there is one alone.

In: Keras' environment variables. Out: who this process is, and ways to agree. The first process owns the run: it alone
writes into its folder. The others hear from it what there is to decide, and do the same steps on other rows.

KERAS_DISTRIBUTION_JOB_ADDRESSES (host:port of the first process, or of all, with commas),
KERAS_DISTRIBUTION_NUM_PROCESSES and KERAS_DISTRIBUTION_PROCESS_ID (from 0) say who belongs together.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from kgpt.errors import KgptError, KgptFailure
from kgpt.language import _

ADDRESSES = "KERAS_DISTRIBUTION_JOB_ADDRESSES"
NUM_PROCESSES = "KERAS_DISTRIBUTION_NUM_PROCESSES"
PROCESS_ID = "KERAS_DISTRIBUTION_PROCESS_ID"


class Processes:
    """One of `count` processes, the one with this `number`.

    All of them must come to the same calls in the same order. A process that fails says so with `fail`, once; the
    others hear it when they next agree.
    """

    def __init__(self, count: int = 1, number: int = 0) -> None:
        self.count, self.number = count, number
        self._has_ended = False

    @property
    def is_alone(self) -> bool:
        """Whether there is nobody to agree with."""
        return self.count == 1

    @property
    def is_first(self) -> bool:
        """Whether this process owns the run."""
        return self.number == 0

    def agree(self, stop: int | None = None) -> int | None:
        """The signal to stop that any process has had; None if none has.

        Raises:
            KgptFailure: another process has failed.
        """
        if self.is_alone:
            return stop
        rows = self._everyones([stop or 0, 0])
        failed = [number for number, row in enumerate(rows) if row[1]]
        if failed:
            self._has_ended = True
            raise KgptFailure(
                _("Another process failed"),
                _(
                    "Process {failed} of {count} has ended; it says why.",
                    failed=failed[0],
                    count=self.count,
                ),
                _("Start all of them again, with --resume if the run has a checkpoint."),
            )
        return int(rows[:, 0].max()) or None

    def fail(self, error: BaseException) -> None:
        """Tell the others that this process cannot go on; nothing where the connection to them is what failed."""
        cannot = _is_of_backend(error) or isinstance(error, KeyboardInterrupt)
        if self.is_alone or self._has_ended or cannot:
            return
        self._has_ended = True
        with suppress(Exception):
            self._everyones([0, 1])

    def explained(self, error: Exception) -> Exception:
        """The error, in words where it is that another process has gone without a word."""
        if self.is_alone or not _is_of_backend(error) or "RESOURCE_EXHAUSTED" in str(error):
            return error
        return KgptFailure(
            _("Another process is lost"),
            (str(error).splitlines() or [_("It is gone.")])[0][:300],
            _("Start all of them again, with --resume if the run has a checkpoint."),
        )

    def from_first(self, make: Callable[[], Any]) -> Any:
        """What `make` (something that JSON can hold) gives in the first process; the others do not call it."""
        if self.is_alone:
            return make()
        value = self.alone_in_first(make)
        content = self.bytes_from_first(json.dumps(value).encode() if self.is_first else None)
        return json.loads(content)

    def alone_in_first(self, work: Callable[[], Any]) -> Any:
        """Let the first process do something by itself, which may fail; None in the others."""
        value = None
        if self.is_first:
            try:
                value = work()
            except BaseException as error:
                self.fail(error)
                raise
        self.agree()
        return value

    def bytes_from_first(self, content: bytes | None) -> bytes:
        """What the first process gives; None in the others."""
        from kgpt.training.distribution_jax import firsts

        return firsts(content)

    def _everyones(self, values: list[int]) -> Any:
        from kgpt.training.distribution_jax import everyones

        return everyones(values)


def _is_of_backend(error: BaseException) -> bool:
    return type(error).__module__.split(".")[0] in ("jax", "jaxlib")


def processes_asked_for(environment: Mapping[str, str] = os.environ) -> tuple[int, int, str]:
    """How many processes there shall be, which one this is, and where the first one listens; (1, 0, "") for one.

    Raises:
        KgptError: the variables do not go together.
    """
    values = {name: environment.get(name, "") for name in (NUM_PROCESSES, PROCESS_ID, ADDRESSES)}
    if not any(values.values()):
        return 1, 0, ""
    addresses = values[ADDRESSES].split(",")
    count, number = values[NUM_PROCESSES], values[PROCESS_ID]
    whole = count.isdecimal() and number.isdecimal() and 0 <= int(number) < int(count)
    if not whole or ":" not in addresses[0] or len(addresses) not in (1, int(count)):
        received = ", ".join(f"{name}={value!r}" for name, value in values.items())
        raise KgptError(
            _("Processes not understood"),
            _(
                "Expected how many, which one from 0 on, and host:port of the first. Received: "
                "{received}",
                received=received,
            ),
            _(
                "For example {num_processes}=2 {process_id}=0 {addresses}=10.0.0.1:1234, and 1 for "
                "the other.",
                num_processes=NUM_PROCESSES,
                process_id=PROCESS_ID,
                addresses=ADDRESSES,
            ),
        )
    return int(count), int(number), addresses[0]


def is_first_process() -> bool:
    """Whether this process owns the runs that it trains; nothing is loaded to know that."""
    return processes_asked_for()[1] == 0

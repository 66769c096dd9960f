"""The parts of a corpus on many machines: the plan of `prepare`, fanned out by Dask.

In: sources, options, and the address of a Dask scheduler. Out: one `Corpus`. A tokenizer is trained here on a sample,
the workers prepare the parts on a file system that all machines share, and the parts are joined here. What is
interrupted goes on: all of it lies in the output's work folder.

Dask and not Ray: all that is needed is futures, as the data goes through the file system, and `distributed` gives them
in pure Python on any machines that reach each other, be they started by SSH, Kubernetes or SLURM. Ray is a compiled
runtime with an object store and actors that would lie idle here, and each platform and Python version must wait for
its build.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from kgpt.errors import KgptError, KgptFailure
from kgpt.files import write_atomically, write_json
from kgpt.language import _
from kgpt.packages import optional_package
from kgpt.text.joining import join
from kgpt.text.parallel import available_cores
from kgpt.text.part_process import Cancelled, PartTask, run_part
from kgpt.text.prepare import Progress, is_current, known_sources, output_folder
from kgpt.text.prepare_options import PrepareOptions
from kgpt.text.sample_tokenizer import train_on_sample
from kgpt.text.shards import Corpus
from kgpt.text.sources import Source, describe_sources, expand_sources
from kgpt.text.tokenizer import Tokenizer, find_tokenizer
from kgpt.text.workspace import Workspace, opened, work_folder

CONNECT_SECONDS = 20.0
"""Seconds that a scheduler has to answer."""
CANCEL_SECONDS = 20.0
"""Seconds that workers have to end what is not wanted any more."""
POLL_SECONDS = 0.5
_AGAIN = "Run the same command again: it goes on where it was."


def prepare_on_cluster(
    sources: Sequence[str | Path],
    output: str | Path | None = None,
    *,
    parts: int,
    address: str,
    overwrite: bool = False,
    report: Callable[[str], None] = lambda line: None,
    progress: Callable[[Progress], None] = lambda progress: None,
    **options: Any,
) -> Corpus:
    """Prepare `sources` in parts on a Dask cluster; go on with an equal call that was interrupted.

    Args:
        sources: as for `prepare`; files must be at the same path on every machine.
        output: as for `prepare`; on a file system that all machines share.
        parts: number of parts; twice the number of workers or more keeps them all busy.
        address: of a scheduler, such as `tcp://host:8786`, or `local` or `local:N` for N processes on this machine.
        overwrite: replace data that was prepared from other sources or with other options.
        report: is told what happens, a line at a time.
        progress: is told how far all parts are together.
        options: the fields of `PrepareOptions` but `shard`; `workers` is the number of processes for a part, by
            default one.

    Raises:
        KgptError: a source, an option, the address or the output is not as it must be, or `distributed` is missing.
        KgptFailure: the disk is full, workers do not see the files, or a part failed again and again.
    """
    given = _checked(options, parts)
    _check_address(address)
    optional_package("distributed", "cluster", _("A cluster, here and on every worker,"))
    folder = output_folder(sources, output)
    if "-" in map(str, sources):
        raise KgptError(
            _("Standard input and a cluster"),
            _("Every worker reads the sources, and standard input can be read only once."),
            _("Write it into a file that all machines see, and give that."),
        )
    found = expand_sources(sources, report)
    described = describe_sources(found, known_sources(folder))
    plan = {"sources": described, "options": given.identity()}
    if _is_current(folder, plan, parts, overwrite):
        report(_("Nothing has changed: {folder} is up to date.", folder=folder))
        return Corpus.open(folder)
    with opened(folder, {**plan, "parts": parts}) as workspace:
        tokenizer = _tokenizer(workspace, sources, described, given, report, progress)
        tasks = _tasks(sources, found, described, workspace, given, tokenizer, parts)
        total = sum(item["bytes"] or 0 for item in described)
        with _client(address) as client:
            _Fan(client, tasks, total, report, progress).run()
        folders = [task.folder for task in tasks]
        corpus = join(folders, folder, overwrite=True, report=report, options=given.identity())
        shutil.rmtree(workspace.folder, ignore_errors=True)
    return corpus


# === Before the cluster is asked ===


def _checked(options: dict[str, Any], parts: int) -> PrepareOptions:
    """The options, with the tokenizer looked up."""
    given = PrepareOptions(**options)
    if isinstance(given.tokenizer, str | Path):
        given = replace(given, tokenizer=find_tokenizer(given.tokenizer))
    if parts < 1:
        raise KgptError(
            _("Bad number of parts"),
            _("Expected 1 or more. Received: {parts}", parts=parts),
            _("Try --parts 16."),
        )
    replace(given, tokenizer=given.tokenizer or Tokenizer.bytes(), shard=(1, parts))  # checks
    return given


def _check_address(address: str) -> None:
    """Find what no scheduler can be called before a sample is read."""
    kind, colon, number = address.partition(":")
    is_local = kind == "local" and (not colon or (number.isdigit() and int(number) > 0))
    if not is_local and (kind == "local" or not number):
        raise KgptError(
            _("No cluster"),
            _(
                "Expected the address of a Dask scheduler, local or local:N. Received: {address}",
                address=address,
            ),
            _("For example: --cluster tcp://HOST:8786, or --cluster local:4"),
        )


def _is_current(folder: Path, plan: dict[str, Any], parts: int, overwrite: bool) -> bool:
    if not is_current(folder, plan, overwrite):
        return False
    before = len(Corpus.open(folder).manifest.get("parts", [])) or 1
    if before != parts and not overwrite:
        raise KgptError(
            _("Output exists"),
            _(
                "{folder} was prepared otherwise: in {before} parts, not {parts}.",
                folder=folder,
                before=before,
                parts=parts,
            ),
            _("Replace it with --overwrite, or choose another --output."),
        )
    return before == parts


def _tokenizer(
    workspace: Workspace,
    sources: Sequence[str | Path],
    described: Sequence[dict[str, Any]],
    options: PrepareOptions,
    report: Callable[[str], None],
    progress: Callable[[Progress], None],
) -> Path:
    """The folder of the tokenizer for all parts, which is trained on a sample unless it was given."""
    folder = workspace.folder / "tokenizer"
    if not folder.is_dir():
        tokenizer = options.tokenizer
        if not isinstance(tokenizer, Tokenizer):
            sample = workspace.folder / "sample"
            tokenizer = train_on_sample(sources, described, sample, options, report, progress)
        tokenizer.save(workspace.scratch / "tokenizer")
        os.rename(workspace.scratch / "tokenizer", folder)
    return folder


def _tasks(
    sources: Sequence[str | Path],
    found: Sequence[Source],
    described: Sequence[dict[str, Any]],
    workspace: Workspace,
    options: PrepareOptions,
    tokenizer: Path,
    parts: int,
) -> list[PartTask]:
    """A task for each part, and the file that says which call they are for."""
    call_file, call = workspace.folder / "call", secrets.token_hex(8)
    write_atomically(call_file, call)
    names = {field.name for field in fields(options)} - {"shard", "tokenizer", "workers"}
    same = {
        **{name: getattr(options, name) for name in sorted(names)},
        "tokenizer": tokenizer,
        "workers": options.workers or 1,
    }
    files = tuple(os.path.abspath(item.path) for item in found if item.path)
    tasks = []
    for index in range(1, parts + 1):
        part = workspace.folder / "parts" / f"part-{index:05d}-of-{parts:05d}"
        _tell_checksums(part, described)
        place = (tuple(map(str, sources)), files, os.getcwd(), part, (index, parts))
        tasks.append(PartTask(*place, same, call_file, call))
    return tasks


def _tell_checksums(part: Path, described: Sequence[dict[str, Any]]) -> None:
    """Leave the sources' checksums where the part's worker looks for known ones: it need not read everything again."""
    folder = work_folder(part)
    if not part.exists() and not folder.exists():
        folder.mkdir(parents=True)
        write_json(folder / "plan.json", {"sources": described})


@contextmanager
def _client(address: str) -> Iterator[Any]:
    """A connection to the scheduler, or to one that is started here with its workers."""
    from distributed import Client, LocalCluster

    kind, _colon, number = address.partition(":")
    is_local = kind == "local"
    try:
        cluster: Any = None
        if is_local:
            cluster = LocalCluster(
                n_workers=int(number) if number else available_cores(),
                threads_per_worker=1,
                memory_limit=0,
                dashboard_address=None,
                silence_logs="CRITICAL",
            )
        try:
            client = Client(cluster or address, timeout=CONNECT_SECONDS)
        except (OSError, ValueError) as error:
            raise _bad_address(address, str(error) or _("no answer")) from error
        with client:
            if is_local:
                _leave_interrupts(client)
            yield client
    finally:
        if cluster is not None:
            cluster.close()


def _leave_interrupts(client: Any) -> None:
    """Let the workers of this machine pass over Ctrl-C, which reaches them too: ending them in order is up to us."""
    from distributed import WorkerPlugin

    class LeaveInterrupts(WorkerPlugin):  # type: ignore[misc]
        def setup(self, worker: Any) -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    client.register_plugin(LeaveInterrupts())


def _bad_address(address: str, reason: str) -> KgptFailure:
    return KgptFailure(
        _("No cluster"),
        _(
            "Expected the address of a Dask scheduler, local or local:N. {address}: {reason}.",
            address=address,
            reason=reason,
        ),
        _("Start one with `dask scheduler`, workers with `dask worker ADDRESS --nworkers auto`."),
    )


# === On the cluster ===


def prepare_part(task: PartTask) -> tuple[str, dict[str, Any]]:
    """Prepare a part in this worker; returns the machine's name and what was told last.

    The values of `Progress`, and `part`, go to the topic named for the call.
    """
    from distributed import get_worker

    worker = get_worker()
    told: dict[str, Any] = {}

    def tell(progress: Progress) -> None:
        told.update(vars(progress), part=task.shard[0])
        worker.log_event(task.call, dict(told))

    run_part(task, tell)
    return socket.gethostname(), told


@dataclass
class _Fan:
    """Parts at work."""

    client: Any
    tasks: Sequence[PartTask]
    total: int
    """Bytes of all sources, 0 where they are not known."""
    report: Callable[[str], None]
    progress: Callable[[Progress], None]
    said: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What each part said last; replaced at every word, which comes in another thread."""
    told: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What of it was passed on."""
    started: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Wait for all parts; if one fails, or at Ctrl-C, end the others first."""
        self.report(f"Preparing {len(self.tasks)} parts")
        pending: dict[Any, PartTask] = {}
        try:
            self.client.subscribe_topic(self.tasks[0].call, self._hear)
            for task in self.tasks:
                key = f"kgpt-{task.call}-{task.shard[0]}"
                pending[self.client.submit(prepare_part, task, key=key, pure=False)] = task
            self._wait(pending)
        except OSError as error:
            raise KgptFailure(_("The scheduler is gone"), f"{error}.", _AGAIN) from error
        finally:
            self._cancel(pending)

    def _wait(self, pending: dict[Any, PartTask]) -> None:
        from distributed import wait

        done, is_waiting = 0, False
        while pending:
            with suppress(TimeoutError):
                wait(list(pending), timeout=POLL_SECONDS, return_when="FIRST_COMPLETED")
            for future in [future for future in pending if future.done()]:
                host, told = _result(future, pending[future])
                task = pending.pop(future)
                self._hear((0.0, told))
                done += 1
                self.report(
                    _(
                        "{task} is there, from {host}; {done} done",
                        task=str(task).capitalize(),
                        host=host,
                        done=done,
                    )
                )
            if pending and not self.client.scheduler_info()["workers"]:
                if not is_waiting:
                    self.report(_("The scheduler has no workers: waiting for one"))
                is_waiting = True
            self._tell()

    def _cancel(self, pending: dict[Any, PartTask]) -> None:
        """Let the workers end what they are at: afterwards nobody writes into the work folder."""
        from distributed import wait

        if pending:
            with suppress(KgptError, OSError):
                write_atomically(self.tasks[0].call_file, "")
                wait(list(pending), timeout=CANCEL_SECONDS)
                self.client.cancel(list(pending))

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        self.said = {**self.said, event[1]["part"]: event[1]}

    def _tell(self) -> None:
        if self.said is self.told:
            return
        self.told = self.said
        said = list(self.said.values())
        writing = [item for item in said if item["stage"] == "writing tokens"]
        of_all = writing or said
        if of_all:
            self.progress(
                Progress(
                    of_all[0]["stage"],
                    sum(item["bytes_done"] for item in of_all),
                    self.total or None,
                    sum(item["documents"] for item in of_all),
                    sum(item["tokens"] for item in of_all),
                    time.monotonic() - self.started,
                )
            )


def _result(future: Any, task: PartTask) -> tuple[str, dict[str, Any]]:
    """What `prepare_part` returned; what went wrong there is raised here as it was."""
    from distributed import KilledWorker

    try:
        found: tuple[str, dict[str, Any]] = future.result()
        return found
    except KgptError:
        raise
    except KilledWorker:
        raise KgptFailure(
            _("Workers died"),
            _("Every worker that took {task} ended unexpectedly.", task=task),
            _AGAIN,
        ) from None
    except Cancelled:
        raise KgptFailure(
            _("Taken over"),
            _("Another call has taken over {task}.", task=task),
            _("Wait for it to end."),
        ) from None
    except Exception as error:
        raise KgptFailure(
            _("A worker failed"),
            f"{task}: {type(error).__name__}: {error}",
            _("Make sure that every worker has the same kgpt and reaches the scheduler. ") + _AGAIN,
        ) from error

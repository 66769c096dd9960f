"""Exports of runs in child processes, which go on when their dialog is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from kgpt.language import _
from workbench.children import Job
from workbench.exports import Export, ExportOrder
from workbench.services import Host


class ExportsService:
    """Begins and stops exports, and remembers all that it began."""

    def __init__(self, host: Host, command: Callable[[], Sequence[str]]) -> None:
        self.begun: list[Export] = []
        self._host, self._command = host, command

    @property
    def at_work(self) -> list[Export]:
        """Exports that would be lost now."""
        return [item for item in self.begun if item.state == "running"]

    def begin(self, order: ExportOrder) -> Export:
        """Export a run."""
        export = Export(order, Job(order.arguments(), command=self._command()))
        self.begun.append(export)

        async def work() -> None:
            await export.work()
            if export.state == "done":
                self._host.announce(f"{export.result.get('output')}", _("Exported"))
            elif export.error and export.state == "failed":
                self._host.show_error(export.error)

        self._host.in_background(work, "export")
        return export

    def stop(self, export: Export) -> None:
        """Stop an export; what was half written is removed."""
        self._host.in_background(export.job.cancel, "stop-export")

    async def close(self) -> None:
        """Stop all of them."""
        await asyncio.gather(*(item.job.cancel() for item in self.at_work))

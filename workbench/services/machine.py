"""The machine, read in the background: load, disks and versions at once, and apart from them who uses the GPU."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path

from workbench import machine
from workbench.machine import GpuUse, Reading
from workbench.services import Host

MOST_SAMPLES = 600


class MachineService:
    """Reads the machine when asked; one reading at a time, for nvidia-smi may take its time."""

    def __init__(self, host: Host, folders: Callable[[], tuple[Path, ...]]) -> None:
        self.reading: Reading | None = None
        """Load and versions as they were read last."""
        self.gpu_use = GpuUse()
        """The GPUs as they were read last; none where there are none."""
        self._host, self._folders = host, folders
        self._is_reading = False
        self._gpu_reading: asyncio.Task[None] | None = None
        self._gpu_memory: dict[int, deque[float]] = {}

    def read(self) -> None:
        """Read it anew."""
        self._host.in_background(self._read, "machine")

    async def _read(self) -> None:
        if not self._is_reading:
            self._is_reading = True
            try:
                self.reading = await asyncio.to_thread(machine.read, self._folders())
            finally:
                self._is_reading = False
            self._host.tell("machine")

    # === The GPU ===

    def watch_gpu(self, pid: int | None = None) -> None:
        """Look who uses the GPU, and note how much memory one process does."""
        if machine.has_gpu():

            async def look() -> None:
                await self.read_gpu()
                used = self.gpu_use.bytes_of(pid) if pid is not None else None
                if pid is not None and used is not None:
                    self._gpu_memory.setdefault(pid, deque(maxlen=MOST_SAMPLES)).append(used)
                self._host.tell("machine")

            self._host.in_background(look, "gpu")

    async def read_gpu(self) -> None:
        """Look who uses the GPU, and wait until that is known; who asks meanwhile gets the same answer."""
        if self._gpu_reading is None and machine.has_gpu():
            self._gpu_reading = asyncio.create_task(self._read_gpu())
        if self._gpu_reading is not None:
            await asyncio.shield(self._gpu_reading)

    async def _read_gpu(self) -> None:
        try:
            self.gpu_use = await asyncio.to_thread(machine.read_gpu_use)
        finally:
            self._gpu_reading = None

    def gpu_memory(self, pid: int | None) -> list[float]:
        """Bytes that a process has used on the GPU each time one looked."""
        return list(self._gpu_memory.get(pid, ())) if pid is not None else []

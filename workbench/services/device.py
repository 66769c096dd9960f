"""Where models write: as it was set, and with `auto` on the CPU while a trainer uses the GPU.

In: the preference, the runs, who uses the GPU. Out: the environment of the engine's next process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.catalog import Catalog
    from workbench.engine import Engine
    from workbench.run_summary import RunSummary
    from workbench.services.machine import MachineService

DEVICES: dict[str, dict[str, str]] = {
    "auto": {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"},
    "cpu": {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"},
    "gpu": {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"},
}
"""What the engine is started with: on a GPU it takes memory as it needs it, because a trainer may live there too."""


class DeviceService:
    """Decides before each start of the engine."""

    def __init__(
        self, machine: MachineService, catalog: Catalog, preference: Callable[[], str]
    ) -> None:
        self._machine, self._catalog, self._preference = machine, catalog, preference

    @property
    def trainer(self) -> RunSummary | None:
        """A live run of this machine whose trainer uses the GPU, as it was seen last."""
        use = self._machine.gpu_use
        for run in self._catalog.summaries:
            if run.is_live and run.pid is not None and use.bytes_of(run.pid) is not None:
                return run
        return None

    @property
    def environment(self) -> Mapping[str, str]:
        """What the engine's process gets to choose its device."""
        wanted = self._preference()
        return DEVICES["cpu" if wanted == "auto" and self.trainer else wanted]

    async def decide(self) -> Mapping[str, str]:
        """The environment of an engine that is about to start."""
        await self._machine.read_gpu()
        return self.environment

    def is_cpu(self, engine: Engine) -> bool:
        """Whether the engine that runs, else the one that would be started, was told to leave the GPU alone."""
        environment = self.environment if engine.state == "off" else engine.environment
        return environment == DEVICES["cpu"]

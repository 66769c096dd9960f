"""The badge of the Generate screen: where models write while a trainer uses the GPU."""

from __future__ import annotations

from textual.content import Content

from kgpt.language import _
from workbench.run_summary import RunSummary


def device_badge(trainer: RunSummary | None, is_on_cpu: bool) -> Content:
    """`on the CPU: machado uses the GPU · alt+d`, which takes a click; nothing without such a trainer."""
    if trainer is None:
        return Content()
    text = (
        _("on the CPU: {name} uses the GPU", name=trainer.name)
        if is_on_cpu
        else _("on the GPU, beside {name}", name=trainer.name)
    )
    style = "$warning" if is_on_cpu else "$error"
    switch = Content.from_markup(" · [@click=screen.device]alt+d[/]")
    return Content.assemble(Content.styled(text, style), switch)

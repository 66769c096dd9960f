"""Time and memory of `kgpt import` and of `kgpt export --format huggingface`, beside transformers' own loading.

    python -m benchmarks.importing [--preset gpt2-1558m] [--folder DIR] [--logits]

A safetensors folder of random weights in the preset's shape is written once, a tensor at a time. Each case is a process
of its own. Its memory is the highest resident memory (VmHWM) with what it had after its imports taken off: pages of
mapped files count while they are mapped, so it is an upper bound. Linux only. transformers is left out where it is not
installed, or where twice the weights do not fit into memory. With `--logits` the imported model reads 64 random tokens
beside transformers' model of the same folder, and the largest difference is printed instead.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from kgpt.files import remove
from kgpt.interop.huggingface_config import to_gpt2
from kgpt.interop.huggingface_layout import gpt2_layout
from kgpt.model.tensors import write_tensors
from kgpt.presets import preset
from kgpt.text.tokenizer import Tokenizer

GPT2_IDS = 50257
GOAL = 1.2
"""Peak memory of an import, in sizes of the weights."""
MEASURED = """
import json, sys, time
{imports}
def peak():
    with open("/proc/self/status") as file:
        return 1024 * next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
before, started = peak(), time.perf_counter()
{work}
print(json.dumps([time.perf_counter() - started, peak() - before]))
"""
IMPORTED = (
    "from kgpt.interop.imports import import_model\nimport safetensors.numpy, tokenizers",
    "import_model({folder!r} + '/gpt2', 'run', saved_models={folder!r})",
)
EXPORTED = (
    "from pathlib import Path\nfrom kgpt.runs import RunFolder\n"
    "from kgpt.interop.huggingface_export import export_huggingface\nimport safetensors.numpy, tokenizers",
    "run = RunFolder(Path({folder!r}) / 'run')\n"
    "export_huggingface(run, run.checkpoint(), Path({folder!r}) / 'exported')",
)
PEER = (
    "import torch\nfrom transformers import GPT2LMHeadModel",
    "model = GPT2LMHeadModel.from_pretrained({folder!r} + '/gpt2')\n"
    "sum(float(weight.detach().sum()) for weight in model.parameters())",
)
"""transformers maps the file; the sum has it read every weight, as an import does."""
COPIED = (
    "import shutil",
    "shutil.copyfile({folder!r} + '/gpt2/model.safetensors', {folder!r} + '/copy')",
)
TOKENS = "np.random.default_rng(1).integers(0, 50257, (1, 64), 'int32')"
OURS = (
    "import numpy as np\nfrom kgpt.api import open_run",
    "model = open_run('run', saved_models={folder!r}).load_model()\n"
    "np.save({folder!r} + '/ours.npy', np.asarray(model(" + TOKENS + ")))",
)
THEIRS = (
    "import numpy as np, torch\nfrom transformers import GPT2LMHeadModel",
    "model = GPT2LMHeadModel.from_pretrained({folder!r} + '/gpt2').eval()\n"
    "with torch.no_grad():\n"
    "    np.save({folder!r} + '/theirs.npy', model(torch.tensor(" + TOKENS + ")).logits.numpy())",
)


def main(arguments: Sequence[str] = ()) -> None:
    """Write the folder, measure each case, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.importing")
    parser.add_argument("--preset", default="gpt2-1558m", help="shape (default: gpt2-1558m)")
    parser.add_argument("--folder", help="where temporary files go (default: the system's)")
    parser.add_argument("--logits", action="store_true", help="compare logits with transformers'")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        size = write_folder(folder / "gpt2", args.preset)
        print(f"{args.preset}: {size / 1e9:.2f} GB of float32 weights", flush=True)
        if args.logits:
            compare_logits(folder)
            return
        print(f"\n{'':<36}{'seconds':>9}{'peak, GB':>10}{'of the weights':>16}")
        cases = {"kgpt import": IMPORTED, "kgpt export --format huggingface": EXPORTED}
        if importlib.util.find_spec("transformers") and importlib.util.find_spec("torch"):
            cases["transformers' from_pretrained, read"] = PEER
        cases["a copy of the file, for scale"] = COPIED
        ratios = {}
        for case, (imports, work) in cases.items():
            for left in ("exported", "copy"):
                remove(folder / left)
            seconds, peak = measured(imports, work.format(folder=str(folder)))
            ratios[case] = peak / size
            print(f"{case:<36}{seconds:>9.1f}{peak / 1e9:>10.3f}{ratios[case]:>16.2f}", flush=True)
    state = "met" if ratios["kgpt import"] <= GOAL else "MISSED"
    print(f"\ngoal: an import takes at most {GOAL} of the weights: {state}")


def compare_logits(folder: Path) -> None:
    """Print how far the imported model's logits are from transformers', each computed in a process of its own."""
    for imports, work in (IMPORTED, OURS, THEIRS):
        measured(imports, work.format(folder=str(folder)))
    ours, theirs = np.load(folder / "ours.npy"), np.load(folder / "theirs.npy")
    same = np.mean(ours.argmax(-1) == theirs.argmax(-1))
    print(
        f"largest difference {np.abs(ours - theirs).max():.2g}, largest logit {np.abs(theirs).max():.3g},"
        f" the same most probable token at {same:.1%} of the places"
    )


def write_folder(folder: Path, name: str) -> int:
    """A folder of Hugging Face's with random weights; the result is their size in bytes."""
    folder.mkdir()
    words = Tokenizer.train(["one two three " * 100], 300)
    extra = {f"<|extra-{index}|>": index for index in range(words.vocabulary_size, GPT2_IDS)}
    Tokenizer({**words.vocabulary, **extra}, words.merges, words.pre_tokenization).save(folder)
    config = dataclasses.replace(preset(name).model, vocabulary_size=GPT2_IDS)
    (folder / "config.json").write_text(json.dumps(to_gpt2(config)))
    layout, random = gpt2_layout(config), np.random.default_rng(0)

    def tensors() -> Iterator[tuple[str, np.ndarray]]:
        for item in layout:
            is_gain = len(item.shape) == 1 and item.name.endswith(".weight")
            yield item.name, is_gain + 0.02 * random.standard_normal(item.shape, np.float32)

    path = folder / "model.safetensors"
    write_tensors(path, {item.name: item.shape for item in layout}, tensors())
    return path.stat().st_size


def measured(imports: str, work: str) -> tuple[float, float]:
    """Seconds and bytes at most of `work` in a process of its own."""
    program = MEASURED.format(imports=imports, work=work)
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True
    )
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak


if __name__ == "__main__":
    main(sys.argv[1:])

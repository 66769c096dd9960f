"""A model of the Hugging Face Hub, downloaded.

In: an id such as `distilgpt2` or `microsoft/DialoGPT-small`. Out: the folder in the Hub's own cache that holds it. An
interrupted download goes on where it was; what is there is not fetched again; `HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN` and
`HF_HUB_OFFLINE` mean what they mean to every tool of the Hub.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from kgpt.errors import KgptError, KgptFailure
from kgpt.language import _
from kgpt.packages import optional_package

_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_TEXTS = ("*.json", "merges.txt")
_WEIGHTS = (("*.safetensors",), ("pytorch_model*.bin",), ("*.h5",))
"""Kinds of weights, the first that a model has is fetched."""


def is_hub_id(source: str) -> bool:
    """Whether `source` could be the id of a model."""
    return _ID.fullmatch(source) is not None


def download(model: str) -> Path:
    """The folder of the model with this id.

    Raises:
        KgptError: there is no such model, or huggingface_hub is not installed.
        KgptFailure: the Hub cannot be reached, or the disk is full.
    """
    optional_package("huggingface_hub", "hub", _("A model of the Hugging Face Hub"))
    from huggingface_hub import HfApi, errors
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

    network_error: type[Exception] = vars(errors)["HTTPError"]  # that of its version's HTTP client

    try:
        try:
            about = HfApi().model_info(model)
        except RepositoryNotFoundError:
            raise
        except (OSError, network_error):
            return _cached(model)
        return _snapshot(model, _weights([file.rfilename for file in about.siblings or ()]))
    except RepositoryNotFoundError:
        raise KgptError(
            _("Unknown model"),
            _(
                "There is no folder {model}, and no model of that name on the Hugging Face Hub (or "
                "it asks for a key).",
                model=model,
            ),
            _("Check the name; set HF_TOKEN for a private model."),
        ) from None
    except LocalEntryNotFoundError as error:
        raise _failed(model, _("it is not in the cache, and the Hub cannot be reached")) from error
    except (OSError, network_error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _failed(model, reason) from error


def _weights(files: list[str]) -> tuple[str, ...]:
    """Patterns of the weights to fetch: those of one kind."""
    for patterns in _WEIGHTS:
        if any(Path(file).match(pattern) for file in files for pattern in patterns):
            return patterns
    return ()


def _cached(model: str) -> Path:
    """The folder as an earlier download has left it, with the first kind of weights that is whole."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    for patterns in _WEIGHTS[:-1]:
        with suppress(LocalEntryNotFoundError):
            return _snapshot(model, patterns, local_files_only=True)
    return _snapshot(model, _WEIGHTS[-1], local_files_only=True)


def _snapshot(model: str, weights: tuple[str, ...], *, local_files_only: bool = False) -> Path:
    from huggingface_hub import snapshot_download

    wanted = [*_TEXTS, "assets/tokenizer/*", *weights]
    return Path(snapshot_download(model, allow_patterns=wanted, local_files_only=local_files_only))


def _failed(model: str, reason: str) -> KgptFailure:
    return KgptFailure(
        _("Cannot download the model"),
        f"{model}: {reason}.",
        _("Try again, which goes on where it was; or give a folder that has the model's files."),
    )

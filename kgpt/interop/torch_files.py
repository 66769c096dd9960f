"""Tensors in PyTorch's files (`pytorch_model.bin`), without PyTorch and without running anything that lies in them.

In: a file as `torch.save` writes it: a zip archive, or the older sequence of pickles. Out: its tensors by name, each
read when it is asked for.

A pickle is a program. The unpickler here knows what rebuilds a tensor and an ordered dictionary and refuses every other
name, so that nothing of the file's choosing is ever called.
"""

from __future__ import annotations

import collections
import pickle
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kgpt.errors import KgptError
from kgpt.interop.correspondence import Array, StoredTensor
from kgpt.language import _
from kgpt.model.shapes import Shape
from kgpt.model.tensors import damaged_file

_DTYPES = {
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "DoubleStorage": "float64",
    "BFloat16Storage": "bfloat16",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "LongStorage": "int64",
    "IntStorage": "int32",
}
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    """In elements, as are the strides."""
    shape: Shape
    strides: tuple[int, ...]


@dataclass(frozen=True)
class _StorageType:
    name: str


def read_torch_file(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a file, by name.

    Raises:
        KgptError: it is no such file, is cut, or its pickle asks for something that is no tensor.
    """
    try:
        values, read = _open_archive(path) if zipfile.is_zipfile(path) else _open_sequence(path)
    except KgptError:
        raise
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
    ) as error:
        raise damaged_file(path, error) from None
    except (pickle.UnpicklingError, zipfile.BadZipFile, struct.error, RecursionError) as error:
        raise damaged_file(path, error) from None
    if isinstance(values, dict) and isinstance(values.get("state_dict"), dict):
        values = values["state_dict"]
    if not isinstance(values, dict):
        raise damaged_file(path, _("it holds no dictionary of tensors"))
    return {
        str(name): StoredTensor(value.shape, _reader(path, value, read))
        for name, value in values.items()
        if isinstance(value, _Tensor)
    }


class _Unpickler(pickle.Unpickler):
    """Rebuilds tensors, as places in the file; refuses everything else by name."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        super().__init__(file, encoding="utf-8")
        self._path = path
        self.storages: dict[str, _Storage] = {}
        """Those met so far, by key."""

    def find_class(self, module: str, name: str) -> Any:
        allowed: dict[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
            ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
        }
        if (module, name) in allowed:
            return allowed[module, name]
        if module == "torch" and name in _DTYPES:
            return _StorageType(name)
        raise KgptError(
            _("Refused to run a pickle"),
            _(
                "{path} asks for {module}.{name}, which no tensor needs.",
                path=self._path,
                module=module,
                name=name,
            ),
            _("Use the model's safetensors file, or one saved as a plain state dictionary."),
        )

    def persistent_load(self, pid: Any) -> _Storage:
        """A storage: ('storage', its type, key, location, number of elements, ...)."""
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise pickle.UnpicklingError("an unknown persistent id")
        if not isinstance(pid[1], _StorageType) or (len(pid) > 5 and pid[5] is not None):
            raise pickle.UnpicklingError("a storage of an unknown kind")
        storage = _Storage(str(pid[2]), _DTYPES[pid[1].name], int(pid[4]))
        self.storages[storage.key] = storage
        return storage


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: Shape, strides: tuple[int, ...], *_rest: Any
) -> _Tensor:
    shape, strides = tuple(map(int, shape)), tuple(map(int, strides))
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    is_inside = offset >= 0 and min(strides, default=0) >= 0 and min(shape, default=1) >= 1
    if not isinstance(storage, _Storage) or not is_inside or last >= storage.count:
        raise pickle.UnpicklingError(
            _("a tensor of shape {shape} outside of its storage", shape=shape)
        )
    return _Tensor(storage, offset, shape, strides)


def _rebuild_parameter(tensor: _Tensor, *_: Any) -> _Tensor:
    return tensor


ReadBytes = Callable[[str, int, int], bytes]
"""(key of a storage, first byte, number of bytes) to bytes."""


def _open_archive(path: Path) -> tuple[Any, ReadBytes]:
    """torch.save since 1.6: `NAME/data.pkl` and a member `NAME/data/KEY` for each storage."""
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(_("there is no data.pkl in it"))
        folder = pickles[0].removesuffix("data.pkl")
        if folder + "byteorder" in archive.namelist():
            _check_byte_order(archive.read(folder + "byteorder").decode())
        with archive.open(pickles[0]) as file:
            values = _Unpickler(file, path).load()  # type: ignore[arg-type]

    def read(key: str, start: int, size: int) -> bytes:
        with zipfile.ZipFile(path) as archive, archive.open(f"{folder}data/{key}") as file:
            file.seek(start)
            return file.read(size)

    return values, read


def _check_byte_order(order: str) -> None:
    if order != "little":
        raise ValueError(_("its numbers are {order}-endian", order=order))


def _open_sequence(path: Path) -> tuple[Any, ReadBytes]:
    """torch.save before 1.6: pickles of magic, version, machine, values and keys, then each storage with its length."""
    with open(path, "rb") as file:
        if _Unpickler(file, path).load() != _MAGIC or _Unpickler(file, path).load() != _PROTOCOL:
            raise ValueError(_("it is no file of PyTorch"))
        machine = _Unpickler(file, path).load()
        _check_byte_order("little" if machine.get("little_endian", True) else "big")
        unpickler = _Unpickler(file, path)
        values = unpickler.load()
        keys = _Unpickler(file, path).load()
        starts, place = {}, file.tell()
        for key in keys:
            storage = unpickler.storages[key]
            file.seek(place)
            if struct.unpack("<q", file.read(8))[0] != storage.count:
                raise ValueError(
                    _("storage {key} has another length than its tensors say", key=key)
                )
            starts[key] = place + 8
            place += 8 + storage.count * _numpy_dtype(storage.dtype).itemsize

    def read(key: str, start: int, size: int) -> bytes:
        with open(path, "rb") as file:
            file.seek(starts[key] + start)
            return file.read(size)

    return values, read


def _numpy_dtype(dtype: str) -> np.dtype[Any]:
    if dtype == "bfloat16":
        import ml_dtypes

        brain_float: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return brain_float
    return np.dtype(dtype)


def _reader(path: Path, tensor: _Tensor, read: ReadBytes) -> Callable[[], Array]:
    def values() -> Array:
        dtype = _numpy_dtype(tensor.storage.dtype)
        spans = zip(tensor.shape, tensor.strides, strict=True)
        count = 1 + sum((size - 1) * stride for size, stride in spans)
        try:
            content = read(
                tensor.storage.key, tensor.offset * dtype.itemsize, count * dtype.itemsize
            )
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise damaged_file(path, error) from None
        if len(content) != count * dtype.itemsize:
            raise damaged_file(path, _("storage {key} is cut", key=tensor.storage.key))
        flat = np.frombuffer(content, dtype)
        strides = [stride * dtype.itemsize for stride in tensor.strides]
        viewed = np.lib.stride_tricks.as_strided(flat, tensor.shape, strides, writeable=False)
        return np.asarray(viewed, dtype=np.float32)

    return values

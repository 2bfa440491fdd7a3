"""STRING tensors between Triton's Python backend and numpy 2.

DLPack has no strings, and what the stub makes of them for numpy 1 is wrong with numpy 2 (see
tensors.py): it loses an input's bytes and counts none in an output. Both stand right in the
stub's own tensor object, so they are read and written there. `prepare` makes sure that the object
is laid out as NVIDIA's python_backend of r24.10 does it (src/pb_tensor.h), or refuses the model.
"""

import ctypes
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]

from server.onnxruntime_backend.batching import Array, element_count
from server.onnxruntime_backend.configuration import ConfigurationError

_LENGTH: Final = struct.Struct("<I")
_BYTES: Final = 13  # TRITONSERVER_TYPE_BYTES
_PYBIND11_VALUE: Final = 16  # offset of the C++ object's address in its Python object


class _PbTensor(ctypes.Structure):
    """The fields of the stub's PbTensor up to the one that is needed here."""

    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_size_t),
        ("name_buffer", ctypes.c_char * 16),
        ("array", ctypes.c_void_p),
        ("serialized", ctypes.c_void_p),
        ("data_type", ctypes.c_int32),
        ("memory", ctypes.c_void_p),
        ("memory_type_id", ctypes.c_int64),
        ("dims", ctypes.c_void_p * 3),
        ("memory_type", ctypes.c_int32),
        ("byte_size", ctypes.c_uint64),
    ]


class _Unread:
    """What the stub keeps as an input's array; `read` does not use it."""

    def __init__(self, _encoded: Array) -> None:
        pass

    def reshape(self, dims: Sequence[int]) -> Array:
        return np.empty(dims, dtype=object)


def prepare() -> None:
    """Make the stub leave STRING inputs to `read`; before the first request, in a model that has any.

    Raises:
        ConfigurationError: the stub's tensors are not laid out as they are known to be.
    """
    name, text = "name of the probe", b"as long as this"
    probe = pb_utils.Tensor(name, np.array([[text, b""]], dtype=object))
    found = _inside(probe)
    known = (
        (found.name_length, found.data_type, found.memory_type, found.memory_type_id, found.byte_size)
        == (len(name), _BYTES, 0, 0, 0)
        and found.dims[1] is not None
        and found.dims[1] - found.dims[0] == 16
        and tuple((ctypes.c_int64 * 2).from_address(found.dims[0])) == (1, 2)
        and ctypes.string_at(found.name, len(name)) == name.encode()
        and ctypes.string_at(found.memory, 8 + len(text)) == _LENGTH.pack(len(text)) + text + _LENGTH.pack(0)
    )
    if not known:
        raise ConfigurationError(
            "this Triton's Python backend is not the one of nvidia-pytriton 0.7.0, the only one with which "
            "STRING tensors are known to work beside numpy 2: python -m server install, or serve the model "
            "with NVIDIA's image"
        )
    pb_utils.deserialize_bytes_tensor = _Unread


def read(tensor: Any) -> Array:
    """A request's STRING tensor as `bytes` in an array of `object`.

    Raises:
        ValueError: its bytes are not as many strings as its shape says.
    """
    inside, shape = _inside(tensor), tuple(tensor.shape())
    encoded = ctypes.string_at(inside.memory, inside.byte_size) if inside.byte_size else b""
    items = list(_decode(encoded))
    if len(items) != element_count(shape):
        raise ValueError(f"input '{tensor.name()}' has {len(items)} strings, and its shape {list(shape)}")
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array.reshape(shape)


def answer(name: str, array: Array) -> Any:
    """An output tensor of a response.

    Args:
        name: the output's.
        array: of `str` or `bytes`, at least one.
    """
    items = [item.encode() if isinstance(item, str) else item for item in array.reshape(-1)]
    encoded = np.empty(len(items), dtype=object)
    encoded[:] = items
    tensor = pb_utils.Tensor(name, encoded.reshape(array.shape))
    _inside(tensor).byte_size = sum(_LENGTH.size + len(item) for item in items)
    return tensor


def _inside(tensor: Any) -> _PbTensor:
    """The C++ object itself, which lives as long as the tensor does."""
    address = ctypes.c_void_p.from_address(id(tensor) + _PYBIND11_VALUE).value
    assert address is not None  # noqa: S101 - no Python object is without its C++ object
    return _PbTensor.from_address(address)


def _decode(encoded: bytes) -> Iterator[bytes]:
    """The strings of a serialised tensor: before each its length, as four bytes."""
    place = 0
    while place < len(encoded):
        if place + _LENGTH.size > len(encoded):
            raise ValueError("a string tensor ends within a length")
        end = place + _LENGTH.size + _LENGTH.unpack_from(encoded, place)[0]
        if end > len(encoded):
            raise ValueError("a string tensor ends within a string")
        yield encoded[place + _LENGTH.size : end]
        place = end

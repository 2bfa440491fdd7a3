"""Tensors between Triton's Python backend and numpy.

The stub of nvidia-pytriton 0.7.0 was built for numpy 1: it reads the size of an array's elements
where numpy 2, the only one for Python 3.13, keeps flags, and finds 0. With numpy 2 its
`as_numpy()` therefore repeats the first element, and the answer of `Tensor(name, array)` is
empty. DLPack, which names its types itself, works with every numpy.
"""

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]

Array = npt.NDArray[Any]

_set_destructor = ctypes.pythonapi.PyCapsule_SetDestructor
_set_destructor.argtypes = [ctypes.py_object, ctypes.c_void_p]
_set_destructor.restype = ctypes.c_int


class _Exporter:
    """A Triton tensor as numpy asks for it.

    Numpy names the version of DLPack it would like; Triton's tensor does not know that argument
    and says so in a TypeError that costs more than everything else here.
    """

    __slots__ = ("_tensor",)

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor

    def __dlpack__(self, **_wishes: Any) -> Any:
        return self._tensor.to_dlpack()

    def __dlpack_device__(self) -> tuple[int, int]:
        return tuple(self._tensor.__dlpack_device__())


def read(tensor: Any) -> Array:
    """A request's tensor, without a copy: valid as long as the request is.

    Args:
        tensor: in the CPU's memory, as Triton gives it by default.
    """
    return np.from_dlpack(_Exporter(tensor))


def answer(name: str, array: Array) -> Any:
    """An output tensor of a response, without a copy; keeps the array as long as it needs it.

    Args:
        name: the output's.
        array: C-contiguous.
    """
    if array.size == 0:
        return pb_utils.Tensor(name, array)  # no elements, so their size does not matter
    capsule = array.__dlpack__()
    tensor = pb_utils.Tensor.from_dlpack(name, capsule)
    # The array is the tensor's now. The stub marks the capsule as used, but by another name than the
    # standard's, at which numpy's destructor would print an error for every answer.
    _set_destructor(capsule, None)
    return tensor

"""Strings from Triton's Python backend, with numpy 2 too.

The stub of nvidia-pytriton 0.7.0 was built for numpy 1 (`server/triton_tensors.py` says more). It copies a STRING
tensor into an array of bytes, whose strides it computes from an element size of 0: every byte is the first. DLPack,
which helps with numbers, has no strings. So the stub is handed numpy's table of functions with one changed: strides
that are all 0 are for numpy to compute.

Only a stub that was built for numpy 1 looks for that table in `numpy.core.multiarray`. One that was built for numpy 2
looks in `numpy._core` and is left alone.
"""

import ctypes
import sys
import types
from typing import Any, Final

import numpy as np

_STUB_LOOKS_IN: Final = "numpy.core.multiarray"
_TABLE_ENTRIES: Final = 300
"""Numpy's is longer, and pybind11 looks no further than 282."""
_NEW_FROM_DESCR: Final = 94
"""The place of `PyArray_NewFromDescr`, in numpy 1 and 2."""
_POINTER, _INT = ctypes.c_void_p, ctypes.c_int
_NewFromDescr = ctypes.PYFUNCTYPE(_POINTER, _POINTER, _POINTER, _INT, _POINTER, _POINTER, _POINTER, _INT, _POINTER)

_kept: list[Any] = []
"""What the stub points to as long as it runs."""


def repair_strings() -> None:
    """Make the stub read strings as they are. Does nothing with numpy 1; must come before the first request."""
    if int(np.__version__.partition(".")[0]) < 2 or _kept:
        return
    multiarray = sys.modules["numpy._core.multiarray"]
    pointer_of, capsule_of = ctypes.pythonapi.PyCapsule_GetPointer, ctypes.pythonapi.PyCapsule_New
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    capsule_of.restype, capsule_of.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    own = (ctypes.c_void_p * _TABLE_ENTRIES).from_address(pointer_of(multiarray._ARRAY_API, None))
    table = (ctypes.c_void_p * _TABLE_ENTRIES)(*own)
    make = _NewFromDescr(own[_NEW_FROM_DESCR] or 0)

    def make_with_strides(
        subtype: int, descr: int, ndim: int, shape: int, strides: int | None, data: int, flags: int, base: int
    ) -> Any:
        if strides and not any((ctypes.c_ssize_t * ndim).from_address(strides)):
            strides = None
        return make(subtype, descr, ndim, shape, strides, data, flags, base)

    repaired = _NewFromDescr(make_with_strides)
    table[_NEW_FROM_DESCR] = ctypes.cast(repaired, ctypes.c_void_p).value
    module = types.ModuleType(_STUB_LOOKS_IN)
    module.__getattr__ = lambda name: getattr(multiarray, name)  # type: ignore[method-assign]
    module._ARRAY_API = capsule_of(ctypes.addressof(table), None, None)  # type: ignore[attr-defined]
    sys.modules[_STUB_LOOKS_IN] = module
    _kept.extend((table, repaired, module))

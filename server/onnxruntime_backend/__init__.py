"""An ONNX Runtime backend for Triton in Python, named and configured as NVIDIA's in C++.

Serves the model repositories that NVIDIA's images serve with their C++ backend. Runs in
Triton's environment, inside a stub process per model instance. May import: numpy,
onnxruntime, Triton's `triton_python_backend_utils`, and its own modules.

`model.py` is what Triton loads; the modules beside it are plain functions without Triton.
"""

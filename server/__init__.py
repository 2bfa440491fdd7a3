"""Triton on this machine, from PyPI: the launcher and the ONNX Runtime backend in Python.

`python -m server` installs, checks and runs NVIDIA's real tritonserver without a container.
`onnxruntime_backend/` is what tritonserver loads for models with `backend: "onnxruntime"`
(or `platform: "onnxruntime_onnx"`); it runs inside Triton's environment, not in this one.

May import: the standard library only. `run` also grpcio and tritonclient's generated messages, once it asks
Triton something; the backend also numpy, onnxruntime and Triton's `triton_python_backend_utils`. Knows nothing
of emotions and nothing of the other rooms.
"""

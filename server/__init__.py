"""Triton on this machine, from PyPI: the launcher and the ONNX Runtime backend in Python.

`python -m server` installs, checks and runs NVIDIA's real tritonserver without a container.

- `errors`, `messages`, `pythons`: what every room may use.
- `processes`: child processes that end with their parent; `deploy` starts its own with it.
- `environment`: what this machine and Triton's environment must have, and how that is made.
- `repository`: what Triton is shown of the model repository.
- `launching`: one tritonserver from start to end; uses the three above.
- `onnxruntime_backend`: what tritonserver loads for models with `backend: "onnxruntime"` (or
  `platform: "onnxruntime_onnx"`); runs inside Triton's environment, not in this one, and uses no other room.
- `text_backend`: the same for models with `backend: "text"`, which read texts and ask the model beside them.
- `triton_tensors`: tensors between Triton and numpy, for both backends.
- `gpu_check`: `make gpu-check`, in Triton's environment too.

May import: the standard library only. `run` also grpcio and tritonclient's generated messages, once it asks
Triton something; the backends also numpy, onnxruntime or tokenizers, and Triton's `triton_python_backend_utils`.
Knows nothing of emotions and nothing of the other rooms.
"""

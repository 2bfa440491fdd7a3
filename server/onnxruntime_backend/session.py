"""An ONNX Runtime session, as a model's configuration and instance kind want it."""

import os
from pathlib import Path
from typing import Any, Final

import onnxruntime

from server.onnxruntime_backend.configuration import REMEDY, ConfigurationError, SessionConfiguration

ARENA_SHRINKAGE: Final = "memory.enable_memory_arena_shrinkage"
_GRAPH_LEVELS: Final = {
    -1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
_CUDA_PARAMETERS: Final = {
    "cudnn_conv_algo_search": ("EXHAUSTIVE", "HEURISTIC", "DEFAULT"),
    "arena_extend_strategy": ("kNextPowerOfTwo", "kSameAsRequested"),
}
KNOWN_PARAMETERS: Final = (
    "intra_op_thread_count",
    "inter_op_thread_count",
    "execution_mode",
    "enable_mem_arena",
    "enable_mem_pattern",
    ARENA_SHRINKAGE,
    "gpu_mem_limit",
    "do_copy_in_default_stream",
    *_CUDA_PARAMETERS,
)
_GPU_FAILURES: Final = ("CUDA failure", "CUBLAS failure", "CUDNN failure")
_TRUE, _FALSE = ("1", "true", "True", "TRUE"), ("0", "false", "False", "FALSE")


def open_session(
    config: SessionConfiguration, version_directory: Path, kind: str, device_id: int
) -> onnxruntime.InferenceSession:
    """Open the model's file for one instance.

    Args:
        config: what the model's configuration says of it.
        version_directory: where the version's files are.
        kind: `GPU` for a KIND_GPU instance; everything else runs on the CPU.
        device_id: of the GPU.

    Raises:
        ConfigurationError: the file is missing or damaged, the configuration asks for what
            can't be had, or a GPU instance did not get its GPU.
    """
    # Triton may have been shown a link: errors are to name the file that somebody can mend.
    path = model_path(config, version_directory.resolve())
    providers: list[Any] = ["CPUExecutionProvider"]
    _check_accelerators(config, "cpu_execution_accelerator", known=())
    if kind == "GPU":
        # ONNX Runtime 1.31 prefers cuDNN's attention on Hopper and newer. It builds a plan for every new shape,
        # tens of milliseconds each, and batches of mixed lengths hardly ever repeat one.
        os.environ.setdefault("ORT_ENABLE_CUDNN_FLASH_ATTENTION", "0")
        # Without it the CUDA libraries of the nvidia-* wheels are not found.
        onnxruntime.preload_dlls()
        providers.insert(0, ("CUDAExecutionProvider", cuda_options(config, device_id)))
        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise ConfigurationError(_no_gpu("onnxruntime in its environment is the CPU's"))
    try:
        session = onnxruntime.InferenceSession(
            readable(path), session_options(config, gpu=kind == "GPU"), providers=providers
        )
    except Exception as error:
        if any(text in str(error) for text in _GPU_FAILURES):
            raise ConfigurationError(_no_gpu(f"CUDA says: {error}")) from error
        raise ConfigurationError(
            f"model file {readable(path)} can't be loaded: it is damaged (cut short?), or not an ONNX "
            f"model for this ONNX Runtime {onnxruntime.__version__}; copy or export it again "
            f"({error})"
        ) from error
    if kind == "GPU" and session.get_providers()[0] != "CUDAExecutionProvider":
        # ONNX Runtime only warns, and would answer 100 times slower.
        raise ConfigurationError(_no_gpu("ONNX Runtime could not start its CUDA provider"))
    return session


def readable(path: Path | str) -> str:
    """A path as text: the stub's Python takes file names for ASCII, and one with surrogates in it ends the stub."""
    return str(path).encode(errors="surrogateescape").decode(errors="replace")


def model_path(config: SessionConfiguration, version_directory: Path) -> Path:
    """The model's file."""
    path = version_directory / config.filename
    if not path.is_file():
        present = ", ".join(sorted(p.name for p in version_directory.iterdir())) or "nothing"
        raise ConfigurationError(
            f"model file {readable(path)} is not there (beside it: {readable(present)}); put it there, or choose a "
            f"configuration with another default_model_filename"
        )
    return path


def session_options(config: SessionConfiguration, *, gpu: bool) -> onnxruntime.SessionOptions:
    """Session options from `parameters` and `optimization`."""
    options, parameters = onnxruntime.SessionOptions(), config.parameters
    level = int((config.optimization.get("graph") or {}).get("level", 0))
    options.graph_optimization_level = _GRAPH_LEVELS.get(level, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL)
    mode = _integer(config, "execution_mode", 0)
    if mode not in (0, 1):
        raise ConfigurationError(f"parameter execution_mode must be 0 or 1, and is {mode}")
    options.execution_mode = (
        onnxruntime.ExecutionMode.ORT_PARALLEL if mode else onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    )
    options.intra_op_num_threads = max(0, _integer(config, "intra_op_thread_count", 0))
    options.inter_op_num_threads = max(0, _integer(config, "inter_op_thread_count", 0))
    if "enable_mem_arena" in parameters:
        options.enable_cpu_mem_arena = _boolean(config, "enable_mem_arena")
    if "enable_mem_pattern" in parameters:
        options.enable_mem_pattern = _boolean(config, "enable_mem_pattern")
    if gpu:
        # Every instance's idle threads would otherwise burn a CPU while the GPU works.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    for key, value in parameters.items():
        if key.startswith("session."):
            options.add_session_config_entry(key, value)
    return options


def unknown_parameters(config: SessionConfiguration) -> list[str]:
    """Parameters that change nothing here: misspelt, or another backend's."""
    return [key for key in config.parameters if key not in KNOWN_PARAMETERS and not key.startswith("session.")]


def run_options(config: SessionConfiguration) -> onnxruntime.RunOptions | None:
    """Run options, None if all are the defaults."""
    if ARENA_SHRINKAGE not in config.parameters:
        return None
    options = onnxruntime.RunOptions()
    options.add_run_config_entry(ARENA_SHRINKAGE, config.parameters[ARENA_SHRINKAGE])
    return options


def cuda_options(config: SessionConfiguration, device_id: int) -> dict[str, str]:
    """Options of the CUDA provider: the accelerator's, then the older plain parameters."""
    options: dict[str, str] = {}
    for accelerator in _check_accelerators(config, "gpu_execution_accelerator", known=("cuda",)):
        options |= accelerator.get("parameters") or {}
    for key, names in _CUDA_PARAMETERS.items():
        if key in config.parameters:
            number = _integer(config, key, 0)
            if not 0 <= number < len(names):
                raise ConfigurationError(f"parameter {key} has no value {number}")
            options[key] = names[number]
    for key in ("gpu_mem_limit", "do_copy_in_default_stream"):
        if key in config.parameters:
            options[key] = config.parameters[key]
    return options | {"device_id": str(device_id)}


def _check_accelerators(config: SessionConfiguration, field: str, known: tuple[str, ...]) -> list[dict[str, Any]]:
    accelerators = (config.optimization.get("execution_accelerators") or {}).get(field) or []
    for accelerator in accelerators:
        if accelerator["name"] not in known:
            raise ConfigurationError(
                f"this backend does not support {field} '{accelerator['name']}'"
                f"{f' (only {known[0]})' if known else ''}: {REMEDY}"
            )
    return list(accelerators)


def _integer(config: SessionConfiguration, key: str, default: int) -> int:
    value = config.parameters.get(key, "")
    try:
        return int(value) if value else default
    except ValueError:
        raise ConfigurationError(f"parameter {key} must be a number, and is '{value}'") from None


def _boolean(config: SessionConfiguration, key: str) -> bool:
    value = config.parameters[key]
    if value not in _TRUE + _FALSE:
        raise ConfigurationError(f"parameter {key} must be 0 or 1, and is '{value}'")
    return value in _TRUE


def _no_gpu(reason: str) -> str:
    return (
        f"a KIND_GPU instance got no GPU ({reason}): see that nvidia-smi works, that the driver is "
        f"from the 580 series or newer, and that Triton's environment was made with `python -m "
        f"server install --gpu`, or use KIND_CPU"
    )

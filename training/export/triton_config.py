"""Triton's model configuration, for GPU and CPU, written through the real protobuf."""

from pathlib import Path
from typing import Final, Literal

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from contract.labels import EMOTIONS
from contract.version_directory import CPU_GRAPH, GPU_GRAPH, INPUT_IDS, ITEM_SHAPE, PROBABILITIES
from training.common.staging import explained, write_file

MAX_BATCH_SIZE: Final = 64
CPU_INSTANCES: Final = 2
CPU_PREFERRED_BATCH: Final = 32
# While one instance hands over requests and answers, which takes the CPU longer than the GPU computes, others run: four
# serve nearly twice what two do (benchmarks/results/gpu/REPORT.md). With the Python backend each takes 0.8 GB of the
# GPU at rubert-tiny2's size, and 1.7 at xlm-roberta-base's.
GPU_INSTANCES: Final = 4
VERSIONS_SERVED: Final = 2
CONFIGURATIONS: Final = ("config.pbtxt", "configs/cpu.pbtxt")
LABELS_FILE: Final = "labels.txt"
LABELS: Final = "\n".join(EMOTIONS) + "\n"
_HEAD: Final = "# Written by training/export/triton_config.py: change it there.\n"


def model_config(name: str, device: Literal["cpu", "gpu"]) -> pb.ModelConfig:
    """The configuration of one model; `cpu` and `gpu` differ in graph file and instances."""
    instances = (
        pb.ModelInstanceGroup(kind=pb.ModelInstanceGroup.KIND_CPU, count=CPU_INSTANCES)
        if device == "cpu"
        else pb.ModelInstanceGroup(kind=pb.ModelInstanceGroup.KIND_GPU, count=GPU_INSTANCES)
    )
    warm_up = [
        pb.ModelWarmup(
            name=f"{rows} rows",
            batch_size=rows,
            inputs={INPUT_IDS: pb.ModelWarmup.Input(data_type=pb.TYPE_INT64, dims=[32], zero_data=True)},
        )
        for rows in (1, MAX_BATCH_SIZE)
    ]
    return pb.ModelConfig(
        name=name,
        backend="onnxruntime",
        max_batch_size=MAX_BATCH_SIZE,
        default_model_filename=CPU_GRAPH if device == "cpu" else GPU_GRAPH,
        version_policy=pb.ModelVersionPolicy(latest=pb.ModelVersionPolicy.Latest(num_versions=VERSIONS_SERVED)),
        # Requests of any lengths share an execution: Triton joins them without padding and
        # tells the graph each row's length.
        input=[pb.ModelInput(name=INPUT_IDS, data_type=pb.TYPE_INT64, dims=[-1], allow_ragged_batch=True)],
        batch_input=[
            pb.BatchInput(
                kind=pb.BatchInput.BATCH_ITEM_SHAPE,
                target_name=[ITEM_SHAPE],
                data_type=pb.TYPE_INT32,
                source_input=[INPUT_IDS],
            )
        ],
        output=[
            pb.ModelOutput(
                name=PROBABILITIES,
                data_type=pb.TYPE_FP32,
                dims=[len(EMOTIONS)],
                label_filename=LABELS_FILE,
            )
        ],
        instance_group=[instances],
        # No delay: while every instance is busy, the requests that wait form the next batch. No queue policy: with a
        # limit or time-outs Triton prepares no batch ahead, and can sleep 500 ms though an instance is free.
        dynamic_batching=pb.ModelDynamicBatching(
            # On a CPU larger batches are slower for each row.
            preferred_batch_size=[CPU_PREFERRED_BATCH] if device == "cpu" else []
        ),
        # One thread an instance: several instances use several cores better than several
        # threads do on matrices this small.
        parameters={"intra_op_thread_count": pb.ModelParameter(string_value="1")},
        model_warmup=warm_up,
    )


def write_model_directory(directory: Path, name: str) -> None:
    """Write `config.pbtxt`, `configs/cpu.pbtxt` and `labels.txt` into a model's directory."""
    with explained(directory):
        (directory / "configs").mkdir(parents=True, exist_ok=True)
    devices: tuple[Literal["gpu", "cpu"], ...] = ("gpu", "cpu")
    for path, device in zip(CONFIGURATIONS, devices, strict=True):
        config = model_config(name, device)
        text = text_format.MessageToString(config)
        write_file(directory / path, (_HEAD + text).encode())
    write_file(directory / LABELS_FILE, LABELS.encode())

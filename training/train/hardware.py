"""What a run trains on: device, precision, and the processes that torchrun started."""

import os
from dataclasses import dataclass

import torch

from training.common.command import TrainingError
from training.train.settings import Settings


@dataclass(frozen=True)
class Hardware:
    """The device (`cpu` or `gpu`), the precision of the arithmetic, and how many processes share a step."""

    device: str
    precision: str
    processes: int

    def __str__(self) -> str:
        return f"{self.precision} on {self.processes} × {self.device}"


def choose_hardware(settings: Settings) -> Hardware:
    """What the settings ask for, if it is there.

    Raises:
        TrainingError: it is not there, or a batch cannot be shared equally.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    gpus = 0 if settings.device == "cpu" else torch.cuda.device_count()
    if settings.device == "gpu" and not gpus:
        raise TrainingError(
            "--device gpu: PyTorch finds no GPU; check nvidia-smi and that this PyTorch is built for it"
            f" (it is {torch.__version__}), or leave --device out to train on the CPU"
        )
    if gpus > 1 and processes == 1:
        raise TrainingError(
            f"there are {gpus} GPUs: use them all with torchrun --nproc-per-node {gpus} -m training.train …,"
            " or choose one with CUDA_VISIBLE_DEVICES=0"
        )
    if not gpus and settings.precision in ("fp16", "bf16"):
        raise TrainingError(f"--precision {settings.precision} needs a GPU, and there is none: leave it out")
    parts = processes * settings.gradient_accumulation
    if settings.batch_size % parts:
        raise TrainingError(
            f"--batch-size {settings.batch_size} cannot be shared equally: {processes} processes work through"
            f" {settings.gradient_accumulation} part(s) each; make it a multiple of {parts}"
        )
    precision = settings.precision
    if precision == "auto":
        precision = "fp32" if not gpus else "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return Hardware("gpu" if gpus else "cpu", precision, processes)

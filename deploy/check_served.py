"""Whether a running Triton answers as the versions it serves should: `make check-served URL=host:8001`.

    .venv/bin/python -m deploy.check_served --url gpu-box:8001 --repository model_repository

Asks any Triton, whatever its backend and device, over gRPC for the rows that each version records: those of its card,
or of `model.gpu.json` where Triton serves the graph for GPUs. Every row alone, all in one request, and eight requests
at a time, which the dynamic batcher joins. Exit status 1, with a sentence for each version that is wrong.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

from contract.version_directory import (
    GPU_GRAPH,
    INPUT_IDS,
    PROBABILITIES,
    CardError,
    Sample,
    read_card,
    read_gpu_record,
    version_directories,
)

AT_ONCE: Final = 8
SECONDS: Final = 60.0
"""For a call. Long, as this Triton may be busy and old ones die of calls that are given up."""
TOLERANCES: Final = {"CPU": 0.02, "GPU": 0.01}
"""How far a probability may be off. In int8 the last bit of another kernel may move activations by a step: 0.002 was
seen between ONNX Runtimes, and wrong kernels are off by tenths. fp16 rounds less, and has no steps."""


class ServedError(Exception):
    """A version is not served, or answers wrongly; says so and what to do."""


class _Served:
    """One version in one Triton."""

    def __init__(self, client: grpcclient.InferenceServerClient, url: str, directory: Path, device: str) -> None:
        self._client, self._directory, self._device = client, directory, device
        self._name = f"{directory.parent.name} version {directory.name} at {url}"

    def check(self, *, hostile: bool) -> float:
        """The largest difference from the recorded probabilities.

        Raises:
            ServedError: says what is wrong.
        """
        sample, pad_id = self._sample()
        expected = np.array(sample.probabilities)
        longest = max(map(len, sample.rows))
        padded = [[*row, *[pad_id] * (longest - len(row))] for row in sample.rows]
        worst = self._compare("rows alone", [self._ask([row]) for row in sample.rows], expected)
        worst = max(worst, self._compare("rows of one request", [self._ask(padded)], expected))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(lambda row: self._ask([row]), sample.rows * 2))
        worst = max(worst, self._compare(f"{AT_ONCE} requests at once", answers, np.tile(expected, (2, 1))))
        if hostile:
            self._check_empty_rows(sample, expected)
        return worst

    def _sample(self) -> tuple[Sample, int]:
        try:
            card = read_card(self._directory)
            sample = read_gpu_record(self._directory).sample if self._device == "GPU" else card.sample
        except (CardError, OSError) as error:
            raise ServedError(f"{self._name} can't be checked: {error}") from error
        if sample is None:
            raise ServedError(
                f"{self._name} can't be checked: it records no answers, as it is from an earlier release;"
                " publish it again"
            )
        return sample, card.pad_id

    def _compare(self, which: str, answers: Sequence[Any], expected: Any) -> float:
        found = np.concatenate(answers)
        if found.shape != expected.shape:
            raise ServedError(f"{self._name}: {which} have answers of shape {found.shape}, not {expected.shape}")
        difference, tolerance = float(np.abs(found - expected).max()), TOLERANCES[self._device]
        if not difference <= tolerance:  # Written so that NaN fails too.
            raise ServedError(
                f"{self._name} answers wrongly: of {which} a probability is off by {difference:.2g}, and at most"
                f" {tolerance} is allowed. Its ONNX Runtime or device computes wrong, or it serves other files than"
                f" {self._directory}: don't use it"
            )
        return difference

    def _check_empty_rows(self, sample: Sample, expected: Any) -> None:
        """That a row of length zero gets an error or not-a-number, and neighbours their answer or not-a-number."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            asked = [row for one in sample.rows for row in (one, [])]
            answers = list(pool.map(self._ask_hostile, asked))
        for number, answer in enumerate(answers):
            if answer is None or np.isnan(answer).all():
                continue
            if number % 2 or not np.abs(answer - expected[number // 2]).max() <= TOLERANCES[self._device]:
                raise ServedError(f"{self._name}: rows of length zero get an answer, or change a neighbour's")

    def _ask_hostile(self, row: list[int]) -> Any:
        try:
            return self._infer([row])
        except InferenceServerException as error:
            if row or error.status() != "StatusCode.INVALID_ARGUMENT":
                raise ServedError(f"{self._name} fails: {error.message()}") from error
            return None

    def _ask(self, rows: list[list[int]]) -> Any:
        try:
            return self._infer(rows)
        except InferenceServerException as error:
            raise ServedError(f"{self._name} fails: {error.message()}") from error

    def _infer(self, rows: list[list[int]]) -> Any:
        ids = np.array(rows, dtype=np.int64)
        given = grpcclient.InferInput(INPUT_IDS, list(ids.shape), "INT64")
        given.set_data_from_numpy(ids)
        model, version = self._directory.parent.name, self._directory.name
        return self._client.infer(model, [given], version, client_timeout=SECONDS).as_numpy(PROBABILITIES)


def check_all(url: str, repository: Path, *, hostile: bool) -> bool:
    """Check all versions that Triton's configuration of each model says it serves; prints a line for each."""
    models = sorted({version.parent for version in version_directories(repository) if version.name.isdecimal()})
    if not models:
        sys.exit(f"error: {repository} holds no versions")
    right = True
    with grpcclient.InferenceServerClient(url, channel_args=[("grpc.enable_http_proxy", 0)]) as client:
        try:
            client.is_server_ready(client_timeout=SECONDS)
        except InferenceServerException as error:
            sys.exit(f"error: no Triton answers at {url}: {error.message()}")
        for model in models:
            right = _check_model(client, url, model, hostile=hostile) and right
    return right


def _check_model(client: grpcclient.InferenceServerClient, url: str, model: Path, *, hostile: bool) -> bool:
    versions = sorted(int(path.name) for path in model.iterdir() if path.name.isdecimal() and path.is_dir())
    right = True
    try:
        config = client.get_model_config(model.name, client_timeout=SECONDS).config
    except InferenceServerException as error:
        _say_wrong(f"{model.name} is not served at {url}: {error.message()}; Triton's log says why")
        return False
    device = "GPU" if config.default_model_filename == GPU_GRAPH else "CPU"
    for version in _served_versions(config, versions):
        directory = model / str(version)
        try:
            if not client.is_model_ready(model.name, str(version), client_timeout=SECONDS):
                raise ServedError(
                    f"{model.name} version {version} is in {model} but not served at {url}: Triton's log says why"
                )
            difference = _Served(client, url, directory, device).check(hostile=hostile)
        except (ServedError, InferenceServerException) as error:
            right = False
            _say_wrong(str(error))
        else:
            print(f"{model.name} version {version} at {url} ({device}) answers as it should: off by {difference:.2g}")
    return right


def _served_versions(config: Any, versions: list[int]) -> list[int]:
    """Which of the repository's versions, in order, Triton's version policy serves."""
    policy = config.version_policy
    if policy.HasField("all"):
        return versions
    if policy.HasField("specific"):
        return list(policy.specific.versions)
    return versions[-(int(policy.latest.num_versions) or 1) :]


def _say_wrong(sentence: str) -> None:
    print(f"error: {sentence}", file=sys.stderr, flush=True)


def main() -> None:
    """Check every version of a repository in a running Triton; exit status 1 if one is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.check_served",
        description="Whether a running Triton answers as the versions it serves should.",
        allow_abbrev=False,
    )
    parser.add_argument("--url", default="127.0.0.1:8001", help="Triton's gRPC address (default: %(default)s)")
    parser.add_argument("--repository", type=Path, default=Path("model_repository"), help="default: %(default)s")
    parser.add_argument(
        "--hostile", action="store_true",
        help="also send rows of length zero: in NVIDIA's backend others in their batch get no answer then, so not to"
        " a Triton in use",
    )  # fmt: skip
    given = parser.parse_args()
    sys.exit(not check_all(given.url, given.repository, hostile=given.hostile))


if __name__ == "__main__":
    main()

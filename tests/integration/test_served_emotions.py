"""The whole: `make serve` with the weights that come with the project."""

import asyncio
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
import tritonclient.grpc as triton_grpc
from tokenizers import Tokenizer
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from contract.labels import EMOTIONS
from gateway.inference.batching import Batcher
from gateway.models.version_reader import VersionReader
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.tracing import Tracing
from gateway.triton.client import Triton
from gateway.triton.replica import ModelVersion
from tests.integration.serving import Serving
from tests.support.committed import committed
from tests.support.triton_process import ROOT
from tests.support.waiting import settled

MODEL = "emotion_rubert"
VERSION = committed(MODEL)
SENTENCES = {
    "Как же я рад тебя видеть!": "joy",
    "Мне так грустно и одиноко без тебя.": "sadness",
    "Мне очень страшно, я боюсь выходить из дома.": "fear",
    "Я ужасно зол на тебя!": "anger",
    "Ничего себе! Вот это неожиданность!": "surprise",
    "Правительство приняло бюджет на следующий год.": "no_emotion",
}
WORDS = [*"я ты рад грустно сегодня небо очень страшно дом улица работа злой вдруг друзья мама нет".split()]  # noqa: SIM905


def ids_of(text: str) -> np.ndarray:
    tokenizer = Tokenizer.from_file(str(VERSION / "tokenizer.json"))
    return np.array([tokenizer.encode(text).ids], dtype=np.int64)


def ask(client: triton_grpc.InferenceServerClient, ids: np.ndarray, name: str = "input_ids") -> np.ndarray:
    kind = {np.dtype("int64"): "INT64", np.dtype("int32"): "INT32"}[ids.dtype]
    tensor = triton_grpc.InferInput(name, list(ids.shape), kind)
    tensor.set_data_from_numpy(ids)
    answer = client.infer(MODEL, [tensor], client_timeout=60).as_numpy("probabilities")
    assert answer is not None
    return answer


def various_texts(count: int) -> list[str]:
    random = np.random.default_rng(0)
    return [" ".join(random.choice(WORDS, size=1 + index % 40)) for index in range(count)]


def executions(client: triton_grpc.InferenceServerClient) -> tuple[int, int]:
    statistics = client.get_inference_statistics(MODEL, VERSION.name, as_json=True)["model_stats"][0]
    return int(statistics["inference_count"]), int(statistics["execution_count"])


@pytest.mark.parametrize(("text", "emotion"), SENTENCES.items())
def test_answers_are_right(http: httpx.Client, text: str, emotion: str) -> None:
    answer = http.post("/v1/emotions", json={"text": text}).json()
    assert answer["results"][0]["emotion"] == emotion
    assert emotion in [entry["emotion"] for entry in answer["results"][0]["emotions"]]


def test_many_texts_equal_each_alone(serving: Serving, http: httpx.Client) -> None:
    texts = various_texts(200)
    together = http.post("/v1/emotions", json={"texts": texts}).json()["results"]
    with triton_grpc.InferenceServerClient(serving.grpc_url) as client:
        for text, result in list(zip(texts, together, strict=True))[::20]:
            alone = ask(client, ids_of(text))[0]
            assert [*result["probabilities"].values()] == pytest.approx(alone.tolist(), abs=5e-3)


def test_an_answer_that_is_kept_is_tritons_to_the_bit(serving: Serving) -> None:
    rows = [ids_of(text)[0].tolist() for text in [*SENTENCES, *various_texts(40)]]

    async def twice() -> tuple[list[list[float]], list[list[float]]]:
        triton = Triton(serving.grpc_url, InferenceServerClient)
        batcher = Batcher(triton, 4, Metrics(), Tracing(None), cache_bytes=1 << 20)
        try:
            served = ModelVersion(MODEL, VERSION.name)
            limits = await triton.model_limits(served, 60)
            version = await VersionReader(VERSION.parents[1]).read(served, limits)
            deadline = asyncio.get_running_loop().time() + 60
            one_by_one = [(await batcher.infer(version, [row], deadline))[0] for row in rows]
            return one_by_one, await batcher.infer(version, rows, deadline)
        finally:
            await batcher.close(1)
            await triton.close(1)

    computed, kept = asyncio.run(twice())
    with triton_grpc.InferenceServerClient(serving.grpc_url) as client:
        alone = [ask(client, np.array([row], np.int64))[0].tolist() for row in rows]
    assert computed == kept == alone


def test_500_concurrent_requests_of_many_lengths_share_executions(serving: Serving) -> None:
    rows = [ids_of(text) for text in various_texts(500)]
    assert len({row.shape[1] for row in rows}) >= 20
    with triton_grpc.InferenceServerClient(serving.grpc_url) as client:
        alone = [ask(client, row) for row in rows]
        before = settled(lambda: executions(client))
        done, together = threading.Semaphore(0), [None] * len(rows)

        def keep(index: int, result: object, error: object) -> None:
            together[index] = result if error is None else error  # type: ignore[call-overload]
            done.release()

        for index, row in enumerate(rows):
            tensor = triton_grpc.InferInput("input_ids", list(row.shape), "INT64")
            tensor.set_data_from_numpy(row)
            client.async_infer(MODEL, [tensor], lambda result, error, index=index: keep(index, result, error))
        for _ in rows:
            assert done.acquire(timeout=120)
        for result, expected in zip(together, alone, strict=True):
            assert not isinstance(result, InferenceServerException), result
            np.testing.assert_allclose(result.as_numpy("probabilities"), expected, atol=5e-3)  # type: ignore[attr-defined]
        after = settled(lambda: executions(client))
    inferences, runs = (now - then for now, then in zip(after, before, strict=True))
    assert inferences == len(rows)
    # No more than that: on a fast machine they are answered almost as fast as this client sends them.
    assert inferences / runs >= 2


def test_bad_requests_leave_their_neighbours_alone(serving: Serving) -> None:
    good = [ids_of(text) for text in [*SENTENCES, *various_texts(40)]]
    answered = [
        np.array([[2, 10**9, 3]]),
        np.array([[2, -5, 3]]),
        np.array([[2, 0, 17, 0, 0, 3]]),
        np.full((1, 5000), 17),
    ]
    # Rows without tokens would leave the rest of their batch without answers: they don't get into one.
    empty = [(np.zeros((rows, 0)), "input_ids") for rows in (1, 3)]
    refused = [
        *empty,
        (np.zeros((0, 5)), "input_ids"),
        (np.array([[2, 3]]), "tokens"),
        (np.zeros((65, 3)), "input_ids"),
    ]
    with triton_grpc.InferenceServerClient(serving.grpc_url) as client:
        expected = [ask(client, row) for row in good]
        stop = threading.Event()

        def attack() -> int:
            sent = 0
            while not stop.is_set():
                for ids in answered:
                    assert np.isfinite(ask(client, ids.astype(np.int64))).all()
                for ids, name in refused:
                    with pytest.raises(InferenceServerException):
                        ask(client, ids.astype(np.int64), name)
                with pytest.raises(InferenceServerException):
                    ask(client, np.array([[2, 3]], dtype=np.int32))
                sent += 1
            return sent

        with ThreadPoolExecutor(16) as pool:
            attackers = [pool.submit(attack) for _ in range(4)]
            try:
                for _ in range(5):
                    for answer, wanted in zip(pool.map(lambda row: ask(client, row), good), expected, strict=True):
                        np.testing.assert_allclose(answer, wanted, atol=5e-3)
            finally:
                stop.set()
            assert all(attacker.result() > 0 for attacker in attackers)
    family = [p for p in serving.family() if Path(p.exe()).name.startswith("triton")]
    assert sum(p.memory_info().rss for p in family) < 1.5e9


def test_triton_classifies_by_label(serving: Serving) -> None:
    with triton_grpc.InferenceServerClient(serving.grpc_url) as client:
        ids = ids_of("Мне страшно.")
        tensor = triton_grpc.InferInput("input_ids", list(ids.shape), "INT64")
        tensor.set_data_from_numpy(ids)
        output = triton_grpc.InferRequestedOutput("probabilities", class_count=6)
        answer = client.infer(MODEL, [tensor], outputs=[output]).as_numpy("probabilities")
    assert answer is not None
    labels = [entry.decode().split(":")[2] for entry in answer[0]]
    assert labels[0] == "fear"
    assert sorted(labels) == sorted(EMOTIONS)


@pytest.mark.parametrize("page", ["README.md", "README.ru.md", "docs/api.md"])
def test_the_documented_curl_works(serving: Serving, page: str) -> None:
    command = re.search(r"^curl .*?(?=^```)", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert command is not None
    shell = command[0].replace("localhost:8080", serving.url.removeprefix("http://"))
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    assert '"emotion":"joy"' in done.stdout


def test_the_documented_grpc_client_works(serving: Serving) -> None:
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    client = re.search(r"```python\n(import numpy.*?)```", page, re.DOTALL)
    assert client is not None
    code = client[1].replace("127.0.0.1:8001", serving.grpc_url)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "joy" in done.stdout


def test_serving_is_light() -> None:
    for environment in (".venv", ".venv-triton"):
        packages = {path.name for path in (ROOT / environment).glob("lib/python3*/site-packages/*")}
        assert packages
        assert not packages & {"torch", "transformers", "datasets"}
    files = [path for name in (".venv", ".venv-triton") for path in (ROOT / name).rglob("*") if path.is_file()]
    size = sum(path.lstat().st_size for path in files)
    assert size < 900e6


def test_every_process_belongs_to_make_serve(serving: Serving) -> None:
    names = {Path(p.exe()).name for p in serving.family()}
    assert {"tritonserver", "triton_python_backend_stub"} <= names
    assert psutil.Process(serving.process.pid).name() == "make"

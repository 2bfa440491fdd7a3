"""The text models on the real tritonserver: as the tokenized models answer, and poison among good texts."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.grpc as grpcclient
from google.protobuf import text_format
from tokenizers import normalizers
from tritonclient.grpc import model_config_pb2 as pb
from tritonclient.utils import InferenceServerException

from contract.text_models import is_text_model, text_model
from contract.tokenization import TextTokenizer
from contract.version_directory import read_card, version_directories
from tests.gateway.support import small_model
from tests.gateway.support.gateway_process import running_gateway
from tests.support.triton_process import ROOT, TritonProcess, running_triton
from tests.support.waiting import SECONDS, wait_until
from training.export.text_models import CONFIGURATION, follow_versions, lacking_versions, text_model_config
from training.publish.quarantine import quarantine_damaged, quarantine_version
from training.publish.versions import prune, roll_back

Array = npt.NDArray[np.float32]
MODELS = sorted({directory.parent.name for directory in version_directories(ROOT / "model_repository")})
TEXTS = [
    "Как же я рад тебя видеть!",
    "Мне страшно.",
    "Ненавижу🤬 ра́д nenavizhu tebya Heнaвижy",
    " \t\n",
    "ქართული 高兴",
    "[SEP] <s> \0 нуль",
    "страшно " * 1_000,
    "й" * 10_000,
]
SMALL = "emotion_small"
WORDS = "слово1 слово2 слово3 слово6"
POISON = {
    "text 0 is empty": b"",
    "text 0 is not UTF-8 (byte 12)": "страшно".encode()[:12] + b"\xff",
    "text 0 is not UTF-8 (byte 0)": "\ud83d".encode("utf-8", "surrogatepass"),
    "text 0 has 1000000 bytes": b"a" * 1_000_000,
    "text 0 has 10001 bytes, and a text may have 10000 characters": b"a" * 10_001,
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("texts") / "models"
    shutil.copytree(ROOT / "model_repository", place, symlinks=True)
    return place


@pytest.fixture(scope="module")
def triton(repository: Path) -> Iterator[TritonProcess]:
    with running_triton(repository) as started:
        yield started


@pytest.fixture(scope="module")
def client(triton: TritonProcess) -> Iterator[grpcclient.InferenceServerClient]:
    with grpcclient.InferenceServerClient(triton.grpc_url) as connected:
        yield connected


def ask_texts(
    client: grpcclient.InferenceServerClient, model: str, texts: Sequence[str | bytes]
) -> tuple[Array, list[float]]:
    """Probabilities, `[rows, 6]`, and the share of each text that is known."""
    elements = [text.encode() if isinstance(text, str) else text for text in texts]
    given = grpcclient.InferInput("text", [len(elements), 1], "BYTES")
    given.set_data_from_numpy(np.array(elements, dtype=np.object_).reshape(-1, 1))
    answer = client.infer(text_model(model), [given], client_timeout=SECONDS)
    return answer.as_numpy("probabilities"), answer.as_numpy("known")[:, 0].tolist()


def ask_ids(client: grpcclient.InferenceServerClient, model: str, ids: list[int]) -> Array:
    given = grpcclient.InferInput("input_ids", [1, len(ids)], "INT64")
    given.set_data_from_numpy(np.array([ids], dtype=np.int64))
    found: Array = client.infer(model, [given], client_timeout=SECONDS).as_numpy("probabilities")
    return found


def newest(repository: Path, model: str) -> Path:
    return max(
        (path for path in version_directories(repository) if path.parent.name == model), key=lambda p: int(p.name)
    )


@pytest.mark.parametrize("model", MODELS)
def test_answers_are_the_models_and_known_is_the_gateways(
    model: str, repository: Path, client: grpcclient.InferenceServerClient
) -> None:
    directory = newest(repository, model)
    card = read_card(directory)
    tokens = TextTokenizer(directory / "tokenizer.json", card.max_length, card.unk_id)(TEXTS)
    expected = np.concatenate([ask_ids(client, model, row.ids) for row in tokens])
    found, known = ask_texts(client, model, TEXTS)
    assert np.abs(found - expected).max() <= 1e-6
    assert known == pytest.approx([1 - row.unknown / row.words if row.words else 0.0 for row in tokens], abs=1e-6)
    assert 0.0 in known
    assert max(known) == 1.0
    for text, probabilities in zip(TEXTS, expected, strict=True):
        alone, _ = ask_texts(client, model, [text])
        assert np.abs(alone[0] - probabilities).max() <= 1e-6


def test_poison_harms_nobody(client: grpcclient.InferenceServerClient) -> None:
    model = MODELS[0]
    good = {text: ask_texts(client, model, [text])[0] for text in TEXTS[:3]}
    asked = [element for number in range(40) for element in (*good, list(POISON.values())[number % len(POISON)])]

    def ask(element: str | bytes) -> Array | str:
        try:
            return ask_texts(client, model, [element])[0]
        except InferenceServerException as error:
            return f"{error.status()}: {error.message()}"

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(ask, asked))
    sentences = {element: sentence for sentence, element in POISON.items()}
    for element, answer in zip(asked, answers, strict=True):
        if isinstance(element, str):
            assert isinstance(answer, np.ndarray), answer
            assert np.abs(answer - good[element]).max() <= 1e-6
        else:
            assert isinstance(answer, str)
            assert answer.startswith(f"StatusCode.INVALID_ARGUMENT: {sentences[element]}")


def test_an_error_names_the_text_of_its_request(client: grpcclient.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="text 2 is empty: leave it out"):
        ask_texts(client, MODELS[0], ["да", "нет", "", "да"])


def test_the_example_in_python(triton: TritonProcess) -> None:
    example = ROOT / "clients/examples/python/ask.py"
    command = [sys.executable, str(example), triton.grpc_url, *TEXTS[:2]]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS).stdout
    assert [line.split()[0] for line in printed.splitlines()] == ["joy", "fear"]
    assert printed.endswith(f" {TEXTS[1]}\n")


def test_many_rows(client: grpcclient.InferenceServerClient) -> None:
    texts = [f"Мне страшно {'очень ' * number}" for number in range(64)]
    found, _ = ask_texts(client, MODELS[0], texts)
    assert np.abs(found[40] - ask_texts(client, MODELS[0], [texts[40]])[0]).max() <= 1e-6
    with pytest.raises(InferenceServerException, match="batch-size must be <= 64"):
        ask_texts(client, MODELS[0], [*texts, "да"])


def test_labels_come_with_the_classification_extension(client: grpcclient.InferenceServerClient) -> None:
    given = grpcclient.InferInput("text", [1, 1], "BYTES")
    given.set_data_from_numpy(np.array([["Мне страшно.".encode()]], dtype=np.object_))
    wanted = grpcclient.InferRequestedOutput("probabilities", class_count=1)
    answer = client.infer(text_model(MODELS[0]), [given], outputs=[wanted], client_timeout=SECONDS)
    assert answer.as_numpy("probabilities")[0, 0].endswith(b":4:fear")
    assert answer.as_numpy("known") is None


def test_the_gateway_lists_the_models_it_tokenizes_for(triton: TritonProcess, repository: Path) -> None:
    with running_gateway(repository, triton.grpc_url) as gateway, gateway.client() as http:
        gateway.wait_until_ready()
        described = http.get("/v1/models").json()
        assert sorted(model["model"] for model in described["models"]) == MODELS
        assert described["unusable"] == []
        assert "left out" not in gateway.log()


@pytest.mark.parametrize("model", MODELS)
def test_the_committed_text_models_are_what_is_written(model: str) -> None:
    directory = ROOT / "model_repository" / text_model(model)
    written = text_format.Parse((directory / CONFIGURATION).read_text("utf-8"), pb.ModelConfig())
    assert written == text_model_config(model)
    assert lacking_versions(ROOT / "model_repository", model) == []
    links = [path for path in directory.iterdir() if path.name.isdecimal()]
    assert links
    for link in links:
        assert link.resolve() == ROOT / "model_repository" / model / link.name
        assert json.loads((link / "card.json").read_text("utf-8"))["model"] == model


@pytest.mark.drill
def test_each_version_reads_with_its_own_tokenizer_while_versions_come_and_go(tmp_path: Path) -> None:
    """Published, rolled back, damaged, quarantined, pruned under load: no wrong answer, and no error by default."""
    repository = tmp_path / "models"
    repository.mkdir()
    publish_small(repository, 1)
    with running_triton(repository, poll_seconds=1) as triton, Load(triton.grpc_url, repository) as load:
        load.wait_for_version("1")
        publish_small(repository, 2)
        load.wait_for_version("2")
        publish_small(repository, 3)
        load.wait_for_version("3")
        roll_back(repository, SMALL, "2")
        load.wait_for_version("4")
        quarantine_version(repository, SMALL, "4", triton.grpc_url)
        load.wait_for_version("3")
        publish_small(repository, 5, damaged=True)
        triton.wait_for(f"Model {SMALL} version 5 could not be loaded")
        publish_small(repository, 6)
        load.wait_for_version("6")
        assert quarantine_damaged(repository, SMALL)
        prune(repository, SMALL, 2)
        load.wait_for_version("6")
    assert load.wrong == []
    assert Counter(load.failed) == {}
    assert load.answered > 500


def publish_small(repository: Path, number: int, *, damaged: bool = False) -> None:
    """A version whose graph and whose tokenizer are its own: it alone reads `слово` and its number as a word."""
    directory = small_model.publish(repository.parent, number, "aside")
    tokenizer = small_model.make_tokenizer()
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace(f"слово{number}", "страшно"), tokenizer.normalizer]
    )
    tokenizer.save(str(directory / "tokenizer.json"))
    card = small_model.make_card(SMALL, number, directory)
    (directory / "card.json").write_text(json.dumps(card), "utf-8")
    if damaged:
        (directory / "model.cpu.onnx").write_bytes(b"half a graph")
    if not (repository / SMALL).exists():
        shutil.copytree(repository.parent / "aside", repository / SMALL, ignore=shutil.ignore_patterns("[0-9]*"))
    directory.rename(repository / SMALL / str(number))
    follow_versions(repository, SMALL)


class Load:
    """Clients that ask the text model without a version, and check what the version that answered must say."""

    def __init__(self, url: str, repository: Path) -> None:
        self.answered, self.wrong, self.failed = 0, list[str](), list[str]()
        self._newest = ""
        self._url, self._repository = url, repository
        self._expected: dict[str, Array] = {}
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(4)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(SECONDS)

    def wait_for_version(self, version: str) -> None:
        """Wait until it answers, and a moment more."""
        wait_until(lambda: self._newest == version, lambda: f"{self._newest} answers; {self.failed} {self.wrong}")
        time.sleep(2)

    def _run(self) -> None:
        given = grpcclient.InferInput("text", [1, 1], "BYTES")
        given.set_data_from_numpy(np.array([[WORDS.encode()]], dtype=np.object_))
        with grpcclient.InferenceServerClient(self._url) as client:
            while not self._stop.is_set():
                try:
                    answer = client.infer(text_model(SMALL), [given], client_timeout=SECONDS)
                except InferenceServerException as error:
                    self.failed.append(str(error))
                    time.sleep(0.02)
                    continue
                version = answer.get_response().model_version
                found = answer.as_numpy("probabilities")[0]
                if not np.abs(found - expected_of(version)).max() <= 1e-6:
                    self.wrong.append(f"version {version}: {found}")
                self._newest = version
                self.answered += 1
                time.sleep(0.02)


def expected_of(version: str) -> Array:
    """What a version must say of `WORDS`; the fourth repeats the second."""
    number = 2 if version == "4" else int(version)
    text = WORDS.replace(f"слово{number}", "страшно")
    return np.array(list(small_model.expected(text, number).values()), np.float32)


def test_text_models_are_none_of_the_models_that_tools_go_through() -> None:
    assert not any(is_text_model(model) for model in MODELS)

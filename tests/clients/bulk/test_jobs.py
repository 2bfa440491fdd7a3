"""Whole jobs: what comes out, and what is refused."""

import csv
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet
import pytest
from tritonclient.grpc import InferenceServerClient

from clients.bulk import job
from clients.bulk.command import main
from clients.bulk.errors import BulkError, FileError
from clients.bulk.writing import journal
from clients.bulk.writing.columns import OUTPUT_COLUMNS
from clients.bulk.writing.journal import Journal
from clients.scoring import VersionError
from contract.labels import EMOTIONS
from tests.clients.bulk.jobs import HOSTILE, read, score, write_json
from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.small_model import BALANCED, MODERATION, expected, publish
from tests.support.triton_process import ROOT, TritonProcess
from tests.support.waiting import settled, wait_until

FAULTY = {1, 2, 3, 4, 5}
"""Places in `HOSTILE` that can't be scored."""


@pytest.fixture
def straight(triton: TritonProcess, repository: Path) -> list[str]:
    return [f"--triton={triton.grpc_url}", f"--repository={repository}"]


@pytest.fixture(scope="module")
def gateway(triton: TritonProcess, repository: Path) -> GatewayProcess:
    # Two requests at once are too many for it: the third is told to come again.
    with running_gateway(repository, triton.grpc_url, "--max-in-flight=2", EMOTION_API_KEYS="k" * 20) as running:
        yield running  # type: ignore[misc]


@pytest.fixture
def through(gateway: GatewayProcess, tmp_path: Path) -> list[str]:
    key = tmp_path / "key"
    key.write_text("# of the gateway\n" + "k" * 20 + "\n")
    return [f"--gateway={gateway.url}", f"--key-file={key}"]


def test_every_row_comes_out_in_its_order(straight: list[str], tmp_path: Path) -> None:
    source = write_json(tmp_path / "in.jsonl", HOSTILE * 3)
    assert score(source, tmp_path / "out.jsonl", "--keep=id", *straight) == 0
    rows = read(tmp_path / "out.jsonl")
    assert [row["id"] for row in rows] == [str(number) for number in range(len(HOSTILE) * 3)]
    assert [row["row"] for row in rows] == [number + 1 for number in range(len(HOSTILE) * 3)]
    assert list(rows[0]) == ["row", "id", *OUTPUT_COLUMNS]
    for place, row in enumerate(rows):
        if place % len(HOSTILE) in FAULTY:
            assert row["error"]
            assert row["emotion"] is row["emotions"] is row["joy"] is row["known"] is None
        else:
            assert row["error"] is None
            by_emotion = {emotion: row[emotion] for emotion in EMOTIONS}
            assert by_emotion == pytest.approx(expected(HOSTILE[place % len(HOSTILE)]), abs=2e-6)
            assert sorted(row["emotions"]) == sorted(name for name in EMOTIONS if by_emotion[name] >= BALANCED[name])
            assert by_emotion[row["emotion"]] == max(by_emotion.values())
        assert (row["profile"], row["model"], row["version"]) == ("balanced", "emotion_rubert", "1")
    assert rows[11]["truncated"]
    assert rows[0]["known"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_equal_texts_are_one_row(straight: list[str], triton: TritonProcess, tmp_path: Path) -> None:
    def executions(texts: list[str], name: str) -> int:
        before = settled(lambda: _executions(triton))
        assert score(write_json(tmp_path / f"{name}.jsonl", texts), tmp_path / f"{name}.out.jsonl", *straight) == 0
        return settled(lambda: _executions(triton)) - before

    pair = ["спасибо", "ужас какой"]
    assert executions(pair * 500, "many") == executions(pair, "few")
    rows = read(tmp_path / "many.out.jsonl")
    assert [row["id"] for row in rows] == [str(number) for number in range(1000)]
    for place, row in enumerate(rows):
        assert {emotion: row[emotion] for emotion in EMOTIONS} == pytest.approx(expected(pair[place % 2]), abs=2e-6)


def test_the_same_as_one_call_at_a_time(
    straight: list[str],
    through: list[str],
    gateway: GatewayProcess,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = [text for place, text in enumerate(HOSTILE) if place not in FAULTY] * 7
    source = write_json(tmp_path / "in.jsonl", texts)
    assert score(source, tmp_path / "straight.jsonl", *straight) == 0
    assert score(source, tmp_path / "through.jsonl", *through) == 0
    assert (tmp_path / "straight.jsonl").read_bytes() == (tmp_path / "through.jsonl").read_bytes()
    rows = read(tmp_path / "straight.jsonl")
    with gateway.client(headers={"authorization": f"Bearer {'k' * 20}"}) as client:
        for text, row in list(zip(texts, rows, strict=True))[:7]:
            alone = client.post("/v1/emotions", json={"text": text}).json()["results"][0]
            assert {emotion: row[emotion] for emotion in EMOTIONS} == pytest.approx(alone["probabilities"], abs=2e-6)
            assert row["emotions"] == [found["emotion"] for found in alone["emotions"]]
            assert (row["emotion"], row["known"], row["truncated"]) == (
                alone["emotion"],
                alone["known"],
                alone["truncated"],
            )
    assert "429" in capsys.readouterr().err


def test_hostile_rows_through_a_gateway(through: list[str], tmp_path: Path) -> None:
    source = write_json(tmp_path / "in.jsonl", HOSTILE)
    assert score(source, tmp_path / "out.jsonl", "--fail-on-errors", *through) == 5
    assert {place for place, row in enumerate(read(tmp_path / "out.jsonl")) if row["error"]} == FAULTY


def test_the_three_formats_say_the_same(straight: list[str], tmp_path: Path) -> None:
    source = write_json(tmp_path / "in.jsonl", HOSTILE)
    for suffix in ("jsonl", "csv", "parquet"):
        assert score(source, tmp_path / f"out.{suffix}", "--keep=id,text", *straight) == 0
    as_json = read(tmp_path / "out.jsonl")
    assert as_json[4]["text"] == "half ?"
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist() == as_json
    csv.field_size_limit(1 << 24)
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        as_csv = list(csv.DictReader(file))
    assert [row["text"] for row in as_csv] == [row["text"] for row in as_json]
    for one, other in zip(as_csv, as_json, strict=True):
        assert one["joy"] == ("" if other["joy"] is None else str(other["joy"]))
        assert one["emotions"] == "|".join(other["emotions"] or ())


def test_profile_and_kinds_of_kept_columns(straight: list[str], tmp_path: Path) -> None:
    columns = {"text": ["злюсь ого", "дом"], "id": [7, 8], "share": [0.25, float("nan")], "ok": [True, None]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "in.parquet")
    assert score(tmp_path / "in.parquet", tmp_path / "out.parquet", "--profile=moderation", *straight) == 0
    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert [str(table.schema.field(name).type) for name in ("id", "share", "ok")] == ["int64", "double", "bool"]
    rows = table.to_pylist()
    assert [row["ok"] for row in rows] == [True, None]
    for row in rows:
        assert sorted(row["emotions"]) == sorted(name for name in EMOTIONS if row[name] >= MODERATION[name])


def test_the_version_stays_while_another_is_published(
    triton: TritonProcess, repository: Path, straight: list[str], tmp_path: Path
) -> None:
    rows = "\n".join(["рад", "страшно"] * 20)
    command = [sys.executable, "-m", "clients.bulk", "-", str(tmp_path / "out.jsonl"), "--format=lines", *straight]
    piped = subprocess.Popen([*command, "--quiet"], cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert piped.stdin is not None
    piped.stdin.write(rows)
    piped.stdin.flush()
    # Its version is chosen, and it waits for more rows.
    wait_until(lambda: (tmp_path / "out.jsonl.part.json").exists(), piped.poll)
    home = publish(repository, 2)
    try:
        wait_until(lambda: "2" in versions(triton), triton.log)
        _, said = piped.communicate(f"\n{rows}\n", timeout=120)
        assert piped.returncode == 0, said
        found = read(tmp_path / "out.jsonl")
        assert len(found) == 80
        assert {row["version"] for row in found} == {"1"}
        assert found[79]["fear"] == pytest.approx(expected("страшно")["fear"], abs=2e-6)
        source = write_json(tmp_path / "in.jsonl", ["рад"])
        assert score(source, tmp_path / "new.jsonl", *straight) == 0
        assert read(tmp_path / "new.jsonl")[0]["version"] == "2"
        assert score(source, tmp_path / "old.jsonl", "--version=1", *straight) == 0
        assert read(tmp_path / "old.jsonl")[0]["version"] == "1"
    finally:
        home.rename(tmp_path / "withdrawn")
        wait_until(lambda: "2" not in versions(triton), triton.log)


def versions(triton: TritonProcess) -> set[str]:
    with InferenceServerClient(triton.grpc_url) as client:
        return {row.version for row in client.get_model_repository_index().models if row.state == "READY"}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--profile=moderation"], "profile is 'balanced' then, and 'moderation' now"),
        (["--keep="], "keep is"),
        (["--text=id"], "text is"),
        (["--version=9"], "version"),
        (["--encoding=utf-8"], "encoding is"),
    ],
)
def test_other_settings_are_refused(
    straight: list[str], tmp_path: Path, flags: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = stopped_job(tmp_path, straight, monkeypatch)
    with pytest.raises((BulkError, VersionError), match=said):
        score(source, output, *straight, *flags)
    assert not output.exists()
    assert score(source, output, *straight) == 0
    assert len(read(output)) == 20


def test_a_changed_input_is_refused(straight: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, output = stopped_job(tmp_path, straight, monkeypatch)
    whole = source.read_bytes()
    for changed in (whole.replace(b'"id": 3', b'"id": 4'), whole.replace(b'"id": 19', b'"id": 18'), whole + b"{}\n"):
        assert changed != whole
        source.write_bytes(changed)
        with pytest.raises(BulkError, match="not what it was"):
            score(source, output, *straight)
    assert score(source, output, "--restart", *straight) == 0
    assert len(read(output)) == 21


def test_another_pipe_is_refused(straight: list[str], tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    command = [sys.executable, "-m", "clients.bulk", "-", str(output), "--format=lines", *straight]
    piped = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert piped.stdin is not None
    piped.stdin.write("рад\n" * 5000)
    piped.stdin.flush()
    part = tmp_path / "out.csv.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 10_000, piped.poll)
    time.sleep(1.2)  # until what is written is marked
    piped.stdin.write("рад\n" * 5000)
    piped.stdin.flush()
    wait_until(lambda: '"rows":0,' not in (tmp_path / "out.csv.part.json").read_text(), piped.poll)
    piped.terminate()
    _, said = piped.communicate(timeout=120)
    assert piped.returncode == 143
    assert "the same command goes on" in said
    assert "Traceback" not in said
    for lines, status in (("злюсь\n" * 9999, 2), ("рад\n" * 12_000, 0)):
        done = subprocess.run(command, cwd=ROOT, input=lines, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
    assert output.read_text("utf-8").count("\n") == 12_001


def test_an_output_that_exists_is_not_replaced(straight: list[str], tmp_path: Path) -> None:
    source, output = write_json(tmp_path / "in.jsonl", ["рад"]), tmp_path / "out.jsonl"
    output.write_text("mine")
    with pytest.raises(BulkError, match="--overwrite"):
        score(source, output, *straight)
    assert output.read_text() == "mine"
    assert score(source, output, "--overwrite", *straight) == 0
    assert len(read(output)) == 1
    with pytest.raises(BulkError, match="the input and the output"):
        score(source, source, "--overwrite", *straight)


def test_one_job_at_a_time(straight: list[str], tmp_path: Path) -> None:
    source, output = write_json(tmp_path / "in.jsonl", ["рад"]), tmp_path / "out.jsonl"
    other = Journal(output)
    with pytest.raises(BulkError, match="another job"):
        score(source, output, *straight)
    other.close()
    assert score(source, output, *straight) == 0


def test_nothing_to_score(straight: list[str], tmp_path: Path) -> None:
    source = write_json(tmp_path / "in.jsonl", ["", None, 5])
    for suffix in ("csv", "jsonl", "parquet"):
        assert score(source, tmp_path / f"out.{suffix}", *straight) == 0
    assert [row["error"] for row in read(tmp_path / "out.jsonl")] == ["empty", "no text", "not a text but a number"]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["{in}", "{out}.xlsx"], 2, "Let it end with"),
        (["{in}.none", "{out}.csv"], 2, "ending is none"),
        (["{dir}/none.csv", "{out}.csv"], 4, "can't be read"),
        (["-", "{out}.csv"], 2, "Name it"),
        (["{in}", "{dir}/none/out.csv"], 2, "no directory"),
        (["{in}", "{out}.csv", "--text=none"], 2, "no column 'none'"),
        (["{in}", "{out}.csv", "--profile=none", "--triton={triton}"], 2, "no profile"),
        (["{in}", "{out}.csv", "--model=none", "--triton={triton}"], 2, "no model 'none'"),
        (["{in}", "{out}.csv", "--version=99", "--triton={triton}"], 2, "no version 99"),
        (["{in}", "{out}.csv", "--triton=127.0.0.1:9", "--patience=0.2"], 3, "no Triton answered"),
        (["{in}", "{out}.csv", "--gateway=http://127.0.0.1:9", "--patience=0.2"], 3, "no answer within"),
        (["{in}", "{out}.csv", "--gateway=nonsense"], 3, "no address of a gateway"),
        (["{in}", "{out}.csv", "--gateway={gateway}"], 3, "--key-file"),
        (["{in}", "{out}.csv", "--triton=a:1", "--gateway=b"], 2, "contradict"),
        (["{in}"], 2, "OUTPUT"),
    ],
)
def test_how_a_job_fails(
    arguments: list[str],
    status: int,
    said: str,
    triton: TritonProcess,
    gateway: GatewayProcess,
    repository: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)  # this process keeps its own
    source = write_json(tmp_path / "in.jsonl", ["рад"])
    names = {"in": source, "out": tmp_path / "out", "dir": tmp_path, "triton": triton.grpc_url, "gateway": gateway.url}
    given = [argument.format(**names) for argument in arguments]
    try:
        found = main([*given, f"--repository={repository}"])
    except SystemExit as ended:
        found = int(str(ended.code))
    told = capsys.readouterr().err
    assert (found, said in told) == (status, True), told
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def stopped_job(directory: Path, straight: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A job that has written eight of its twenty rows."""
    source, output = write_json(directory / "in.jsonl", ["рад"] * 20), directory / "out.jsonl"
    append, calls = Journal.append, []

    def fail_late(self: Journal, data: bytes) -> None:
        calls.append(data)
        if len(calls) == 3:
            raise FileError("the disk is full")
        append(self, data)

    with monkeypatch.context() as patched:
        patched.setattr(job, "_CHUNK_TEXTS", 8)
        patched.setattr(journal, "_MARK_SECONDS", 0.0)
        patched.setattr(Journal, "append", fail_late)
        with pytest.raises(FileError):
            score(source, output, *straight)
    assert '"rows":8,' in (directory / "out.jsonl.part.json").read_text()
    return source, output


def _executions(triton: TritonProcess) -> int:
    client = InferenceServerClient(triton.grpc_url)
    try:
        (model,) = client.get_inference_statistics("emotion_rubert", "1").model_stats
        return int(model.execution_count)
    finally:
        client.close()

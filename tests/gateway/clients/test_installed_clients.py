"""The clients themselves ask a real gateway: `make test-clients` installs them beside this repository's environments.

Each is skipped, and says so, where its language is not there.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway.support.gateway_process import ROOT, GatewayProcess

pytestmark = pytest.mark.clients

HOME = ROOT / ".clients"
JAVASCRIPT = {
    "2.6": """
import { HfInference } from "@huggingface/inference";
const hf = new HfInference();
const ask = { model: process.argv[2], inputs: "рад" };
const options = { use_cache: false, wait_for_model: true, use_gpu: true, retry_on_error: false };
console.log(JSON.stringify([await hf.textClassification(ask), await hf.textClassification(ask, options)]));
""",
    "4": """
import { InferenceClient } from "@huggingface/inference";
const hf = new InferenceClient().endpoint(process.argv[2]);
const all = { inputs: "рад" };
const two = { inputs: "рад", parameters: { top_k: 6, function_to_apply: "sigmoid" } };
console.log(JSON.stringify([await hf.textClassification(all), await hf.textClassification(two)]));
""",
}
PYTHON = """
import json, sys
from huggingface_hub import InferenceClient
found = InferenceClient(sys.argv[1]).text_classification("рад")
print(json.dumps([[{"label": row["label"], "score": row["score"]} for row in found]]))
"""
JAVA = """
import java.net.URI;
import java.net.http.*;
import java.net.http.HttpRequest.BodyPublishers;

class Ask {
  public static void main(String[] arguments) throws Exception {
    var client = HttpClient.newHttpClient();
    var text = BodyPublishers.ofString("{\\"text\\": \\"рад\\"}");
    for (var body : new HttpRequest.BodyPublisher[] {text, text, BodyPublishers.fromPublisher(text)}) {
      for (var expects : new boolean[] {false, true}) {
        var request = HttpRequest.newBuilder(URI.create(arguments[0])).expectContinue(expects).POST(body).build();
        var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
        System.out.println(answer.statusCode() + " " + answer.body());
      }
    }
  }
}
"""


def run(*command: str, cwd: Path | None = None) -> str:
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def check(found: list[list[dict[str, object]]]) -> None:
    for row in found:
        assert row[0]["label"] == "joy"
        assert {entry["label"] for entry in row} == {"no_emotion", "joy", "sadness", "surprise", "fear", "anger"}


@pytest.mark.parametrize("version", JAVASCRIPT)
def test_javascript(gateway: GatewayProcess, version: str) -> None:
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not there")
    home = HOME / f"javascript-{version}"
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "node_modules").exists():
        (home / "package.json").write_text("{}")
        run("npm", "install", "--no-audit", "--no-fund", f"@huggingface/inference@{version}", cwd=home)
    (home / "ask.mjs").write_text(JAVASCRIPT[version])
    check(json.loads(run("node", "ask.mjs", f"{gateway.url}/", cwd=home)))


@pytest.mark.parametrize("version", ["0.20.3", "0.25.2", "0.30.2", "1.0.0"])
def test_huggingface_hub(gateway: GatewayProcess, version: str) -> None:
    home = HOME / f"huggingface_hub-{version}"
    python = home / "bin/python"
    if not (home / "ready").exists():
        run(sys.executable, "-m", "venv", "--clear", str(home))
        run(str(python), "-m", "pip", "install", "-q", f"huggingface_hub=={version}")
        (home / "ready").touch()
    check(json.loads(run(str(python), "-c", PYTHON, gateway.url)))


def test_java(gateway: GatewayProcess, tmp_path: Path) -> None:
    if not shutil.which("java"):
        pytest.skip("java is not there")
    (tmp_path / "Ask.java").write_text(JAVA)
    arguments = ("-Dfile.encoding=UTF-8", str(tmp_path / "Ask.java"), f"{gateway.url}/v1/emotions")
    answers = run("java", *arguments).splitlines()
    assert len(answers) == 6
    for answer in answers:
        status, _, body = answer.partition(" ")
        assert status == "200"
        assert json.loads(body)["results"][0]["emotion"] == "joy"

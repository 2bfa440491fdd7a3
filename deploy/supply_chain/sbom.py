"""Write a software bill of materials for each image and for the release: CycloneDX, JSON.

    python -m deploy.supply_chain.sbom --output build/sbom    # `make sbom`

Each lists the packages with version, licence, SHA-256 of the wheel that is installed, and what needs what. An image's
names the image that it is built on too, and the release's the models with the SHA-256 of their files. The same checkout
gives the same bytes: the time is that of the last commit, or SOURCE_DATE_EPOCH. CycloneDX's own validator has to accept
each.
"""

import argparse
import os
import tomllib
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from deploy.supply_chain.command import ROOT, SupplyChainError, git, run_command
from deploy.supply_chain.images import named_images
from deploy.supply_chain.licences import licence_of
from deploy.supply_chain.shipped import SHIPPED, Package, Shipped, Weights, packages_of, shipped_weights

_NAMESPACE: Final = uuid.UUID("8e1f7f0a-5a6d-5c3e-9a57-3f6c6a1f2b4d")


def version() -> str:
    """The project's version: pyproject.toml is the one place that has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["version"])


def source_date_epoch() -> int:
    """Seconds since 1970: SOURCE_DATE_EPOCH, or the time of the last commit.

    Raises:
        SupplyChainError: it is no number, or there is no commit.
    """
    stated = os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct")
    if not stated.isdecimal():
        raise SupplyChainError(f"SOURCE_DATE_EPOCH must be seconds since 1970, not {stated!r}")
    return int(stated)


def bill(shipped: Shipped, *, epoch: int) -> str:
    """The bill of an image or of the release, as JSON.

    Args:
        shipped: which.
        epoch: what it says of its time, seconds since 1970.

    Raises:
        SupplyChainError: a package is not what the lock says or names no licence, or CycloneDX refuses the bill.
    """
    kind = ComponentType.CONTAINER if shipped.dockerfile else ComponentType.APPLICATION
    name = f"ru-emotions-{shipped.name}"
    main = Component(
        name=name, version=version(), type=kind, bom_ref=name, description=shipped.what,
        licenses=[LicenseExpression("Apache-2.0")],
    )  # fmt: skip
    packages = packages_of(shipped)
    libraries = {package.name: _library(package) for package in packages}
    others = [*_base(shipped), *(_model(one) for one in (shipped_weights() if shipped.weights else ()))]
    bom = Bom(
        components=[*libraries.values(), *others],
        metadata=BomMetaData(component=main, timestamp=datetime.fromtimestamp(epoch, UTC)),
        serial_number=_NAMESPACE,
    )
    bom.register_dependency(main, [*libraries.values(), *others])
    for package in packages:
        needed = [libraries[need] for need in package.needs if need in libraries]
        bom.register_dependency(libraries[package.name], needed)
    bom.serial_number = uuid.uuid5(_NAMESPACE, JsonV1Dot6(bom).output_as_string())
    text: str = JsonV1Dot6(bom).output_as_string(indent=2) + "\n"
    refused = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if refused:
        raise SupplyChainError(f"CycloneDX refuses the bill of {name}: {refused}")
    return text


def _hashes(sha256: str) -> list[HashType]:
    return [HashType(alg=HashAlgorithm.SHA_256, content=sha256)]


def _library(package: Package) -> Component:
    url = PackageURL("pypi", name=package.name, version=package.version)
    return Component(
        name=package.name, version=package.version, type=ComponentType.LIBRARY, bom_ref=str(url), purl=url,
        licenses=[LicenseExpression(licence_of(package))], hashes=_hashes(package.sha256),
    )  # fmt: skip


def _base(shipped: Shipped) -> Iterable[Component]:
    """The image that an image is built on; what is in it, its makers say."""
    for image in named_images(ROOT):
        if image.file == ROOT / shipped.dockerfile:
            name, _, tag = image.image.rpartition(":")
            hashes = _hashes(image.digest.removeprefix("sha256:")) if image.digest else []
            yield Component(
                name=name, version=tag, type=ComponentType.CONTAINER, bom_ref=image.image, hashes=hashes,
                description="The image that this one is built on; what is in it is not listed here.",
            )  # fmt: skip


def _model(weights: Weights) -> Component:
    reference = f"{weights.model}@{weights.version}"
    files = [
        Component(name=name, type=ComponentType.FILE, bom_ref=f"{reference}/{name}", hashes=_hashes(sha256))
        for name, sha256 in weights.files.items()
    ]
    return Component(
        name=weights.model, version=weights.version, type=ComponentType.MACHINE_LEARNING_MODEL, bom_ref=reference,
        licenses=[LicenseExpression(weights.licence)], components=files,
        properties=[Property(name="ru-emotions:base_model", value=weights.base_model)],
    )  # fmt: skip


def write_bills(directory: Path) -> list[Path]:
    """Write all bills; gives their files."""
    directory.mkdir(parents=True, exist_ok=True)
    epoch = source_date_epoch()
    files = []
    for shipped in SHIPPED:
        files.append(directory / f"ru-emotions-{shipped.name}-{version()}.cdx.json")
        files[-1].write_text(bill(shipped, epoch=epoch), "utf-8")
    return files


def main() -> None:
    """Write all bills."""
    parser = argparse.ArgumentParser(prog="python -m deploy.supply_chain.sbom", description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "build/sbom", help="default: build/sbom")
    for file in write_bills(parser.parse_args().output):
        print(file)


if __name__ == "__main__":
    run_command(main)

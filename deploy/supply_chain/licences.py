"""The licences of all that is shipped.

    python -m deploy.supply_chain.licences            # writes docs/running/licences.md: `make licences`
    python -m deploy.supply_chain.licences --texts D  # writes a file with the texts for each image and release into D

A licence that is not on the list below, and a package that names none, ends either with an error that names it.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from license_expression import AND, OR, ExpressionError, get_spdx_licensing

from deploy.supply_chain.command import ROOT, SupplyChainError, run_command
from deploy.supply_chain.shipped import SHIPPED, Package, Shipped, packages_of, shipped_weights

PAGE: Final = "docs/running/licences.md"
ALLOWED: Final = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "PSF-2.0", "Python-2.0", "Unlicense",
    "Zlib",
}  # fmt: skip
"""Licences that ask for no more than their own text and a notice."""
EXCEPTIONS: Final = {
    "certifi": ("MPL-2.0", "the list of certificates, unchanged; MPL-2.0 covers its own files alone"),
    "python-telegram-bot": (
        "LGPL-3.0-only",
        "an unchanged library that anybody may replace in the image with pip; in the Telegram bot's image only",
    ),
    "tqdm": ("MPL-2.0 AND MIT", "unchanged; MPL-2.0 covers its own files alone"),
}
"""Packages with another licence, and why they may be shipped all the same."""
WITHOUT_TEXT: Final = {"obstore": "MIT"}
"""Packages whose makers left the text of MIT's licence out of the wheel: a release says so, and has the usual text."""
# What packages write into the older field License, or as a classifier, and mean.
_MEANT: Final = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: MIT License": "MIT",
    "MIT License": "MIT",
}
_MIT: Final = """MIT License

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
_SPDX: Final = get_spdx_licensing()
_HEAD: Final = """# Licences

Made by `make licences` from the packages' own files. Don't edit it.

The project is under the Apache License 2.0 ([LICENSE](../../LICENSE)). The packages below are in its images and
releases, unchanged. [supply-chain.md](supply-chain.md#licences) says which licences are allowed, and where their texts
are.

What is *not* listed: what is in the images that ours are built on (Python's on Debian, NVIDIA's Triton), and what a
package's own notices list in turn. The page at `/` has JavaScript of this project alone. The Swagger UI at `/docs`
(Apache-2.0) comes with the package fastapi-swagger.

The models have their licence in the `card.json` of each version, and so have a release's files. The data sets that they
learned from have theirs in [data.md](../data.md#sources).
"""


def licence_of(package: Package) -> str:
    """A package's licence as an SPDX expression.

    Raises:
        SupplyChainError: it names none that SPDX knows.
    """
    metadata = package.metadata
    stated = [metadata["License-Expression"], metadata["License"], *metadata.get_all("Classifier", [])]
    for value in filter(None, stated):
        expression = _MEANT.get(str(value).strip(), str(value).strip())
        if len(expression) < 100 and "::" not in expression and _is_spdx(expression):
            return expression
    raise SupplyChainError(
        f"{package.name} {package.version} names no licence that SPDX knows ({metadata['License'] or 'nothing'}): read "
        f"it, and say what is meant in deploy/supply_chain/licences.py"
    )


def _is_spdx(expression: str) -> bool:
    try:
        return not _SPDX.validate(expression).errors
    except ExpressionError:
        return False


def is_allowed(expression: str, allowed: Iterable[str] = frozenset(ALLOWED)) -> bool:
    """Whether an SPDX expression can be met with allowed licences alone."""
    allowed = frozenset(allowed)

    def met(part: Any) -> bool:
        if isinstance(part, AND):
            return all(map(met, part.args))
        if isinstance(part, OR):
            return any(map(met, part.args))
        return str(part) in allowed

    return met(_SPDX.parse(expression))


def check(packages: Iterable[Package]) -> None:
    """Refuse a licence that is neither allowed nor an exception.

    Raises:
        SupplyChainError: names every such package.
    """
    refused = []
    for package in packages:
        licence = licence_of(package)
        if not is_allowed(licence) and EXCEPTIONS.get(package.name, ("",))[0] != licence:
            refused.append(f"{package.name} {package.version}: {licence}")
    if refused:
        raise SupplyChainError(
            f"licences that are not on the list: {'; '.join(refused)}. Take another package, or allow it with a reason "
            f"in deploy/supply_chain/licences.py"
        )


def check_weights(root: Path = ROOT) -> None:
    """Refuse weights under a licence that is not allowed.

    Raises:
        SupplyChainError: names them.
    """
    for weights in shipped_weights(root):
        if not _is_spdx(weights.licence) or not is_allowed(weights.licence):
            raise SupplyChainError(
                f"{weights.model} {weights.version} has the licence {weights.licence!r}, which is not on the list"
            )


def page() -> str:
    """The page: one row for each package, and where it is."""
    places: dict[tuple[str, str, str], list[str]] = {}
    for shipped in SHIPPED:
        packages = packages_of(shipped)
        check(packages)
        for package in packages:
            places.setdefault((package.name, package.version, licence_of(package)), []).append(shipped.name)
    check_weights()
    rows = [f"| {' | '.join(key)} | {', '.join(names)} |" for key, names in sorted(places.items())]
    table = "## Packages\n\n| package | version | licence | in |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    named = "".join(f"- `{shipped.name}`: {shipped.what}\n" for shipped in SHIPPED)
    return "\n".join([_HEAD, named, table, _exceptions()])


def _exceptions() -> str:
    rows = [f"| {name} | {licence} | {why} |" for name, (licence, why) in sorted(EXCEPTIONS.items())]
    return "## Exceptions\n\n| package | licence | why it may be shipped |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def texts(shipped: Shipped) -> str:
    """All licence texts of an image or release, one file."""
    parts = [f"Licences of ru-emotions, {shipped.name}: {shipped.what}.\n", (ROOT / "LICENSE").read_text("utf-8")]
    packages = packages_of(shipped)
    check(packages)
    for package in packages:
        parts.append(f"{'=' * 80}\n{package.name} {package.version}: {licence_of(package)}\n{_who(package)}")
        parts += [f"{'-' * 80}\n{name}\n\n{text.strip()}\n" for name, text in sorted(package.texts.items())]
        if not package.texts:
            parts.append(_without_text(package))
    if shipped.weights:
        parts.append("=" * 80)
        weights = shipped_weights()
        parts += [f"{one.model} {one.version}: {one.licence}\nMade from: {one.base_model}\n" for one in weights]
        if any("MIT" in one.licence for one in weights):
            parts.append(f"MIT's licence, of what such weights were made from:\n\n{_MIT}")
    return "\n".join(parts)


def _without_text(package: Package) -> str:
    licence = licence_of(package)
    if licence == "Apache-2.0":
        return "Its wheel brings no text along; the Apache License 2.0 stands above.\n"
    if WITHOUT_TEXT.get(package.name) != licence or licence != "MIT":
        raise SupplyChainError(f"{package.name} {package.version} brings no licence text along: get it from its makers")
    return f"Its wheel brings no text along, and names no holder. It says that it is under MIT's:\n\n{_MIT}"


def _who(package: Package) -> str:
    fields = ("Author", "Author-email", "Maintainer-email", "Home-Page")
    return f"By {next(filter(None, (package.metadata[field] for field in fields)), 'its authors')}\n"


def main() -> None:
    """Write the page, or the texts."""
    parser = argparse.ArgumentParser(prog="python -m deploy.supply_chain.licences", description=__doc__)
    parser.add_argument("--texts", type=Path, metavar="DIRECTORY", help="write the texts there, and no page")
    parser.add_argument("--check", action="store_true", help="fail if the page is not up to date")
    arguments = parser.parse_args()
    if arguments.texts:
        arguments.texts.mkdir(parents=True, exist_ok=True)
        for shipped in SHIPPED:
            (arguments.texts / f"LICENSES-{shipped.name}.txt").write_text(texts(shipped), "utf-8")
        return
    path, text = ROOT / PAGE, page()
    # A text that is not to be had would only be missed by the next release.
    for shipped in SHIPPED:
        texts(shipped)
    if path.exists() and path.read_text("utf-8") == text:
        print(f"{PAGE} is up to date")
        return
    if arguments.check:
        raise SupplyChainError(f"{PAGE} is not up to date: make licences")
    path.write_text(text, "utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    run_command(main)

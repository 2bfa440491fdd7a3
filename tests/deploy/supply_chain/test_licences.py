"""Only licences that are on the list, or named with a reason, are shipped."""

import json
from email.message import EmailMessage
from pathlib import Path

import pytest

from deploy.supply_chain.command import ROOT, SupplyChainError
from deploy.supply_chain.licences import (
    EXCEPTIONS,
    PAGE,
    WITHOUT_TEXT,
    check,
    check_weights,
    is_allowed,
    licence_of,
    page,
    texts,
)
from deploy.supply_chain.shipped import SHIPPED, Package, packages_of, shipped_weights

pytestmark = pytest.mark.supply


def package(name: str = "thing", **fields: str) -> Package:
    metadata = EmailMessage()
    for field, value in fields.items():
        metadata[field.replace("_", "-")] = value
    return Package(name, "1", "0" * 64, metadata, {})


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("BSD-3-Clause AND MIT", True),
        ("GPL-3.0-only OR Apache-2.0", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-2.0-or-later", False),
        ("AGPL-3.0-only OR GPL-3.0-only", False),
        ("(MIT OR GPL-3.0-only) AND LGPL-3.0-only", False),
    ],
)
def test_what_is_allowed(expression: str, allowed: bool) -> None:
    assert is_allowed(expression) is allowed


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ({"License_Expression": "Apache-2.0 OR BSD-2-Clause"}, "Apache-2.0 OR BSD-2-Clause"),
        ({"License": "MIT License"}, "MIT"),
        ({"License": "BSD-3-Clause"}, "BSD-3-Clause"),
        ({"Classifier": "License :: OSI Approved :: Apache Software License"}, "Apache-2.0"),
    ],
)
def test_what_a_package_says_of_itself(fields: dict[str, str], licence: str) -> None:
    assert licence_of(package(**fields)) == licence


@pytest.mark.parametrize("fields", [{}, {"License": "see our website"}, {"License": "Copyright " * 50}])
def test_a_package_that_names_no_licence_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(SupplyChainError, match="thing 1 names no licence that SPDX knows"):
        licence_of(package(**fields))


def test_a_licence_that_is_not_on_the_list_is_refused() -> None:
    with pytest.raises(SupplyChainError, match="not on the list: thing 1: GPL"):
        check([package(License_Expression="MIT"), package(License_Expression="GPL-3.0-only")])
    name, (licence, _) = next(iter(EXCEPTIONS.items()))
    check([package(name, License_Expression=licence)])
    with pytest.raises(SupplyChainError, match="not on the list"):
        check([package(name, License_Expression="GPL-3.0-only")])


def test_every_exception_is_needed() -> None:
    shipped = {package.name: licence_of(package) for one in SHIPPED for package in packages_of(one)}
    for name, (licence, why) in EXCEPTIONS.items():
        assert shipped[name] == licence
        assert not is_allowed(licence)
        assert why


def test_weights_under_another_licence_are_refused(tmp_path: Path) -> None:
    check_weights()
    version = tmp_path / "model_repository/emotion_x/1"
    version.mkdir(parents=True)
    card = {"licence": "CC-BY-NC-4.0", "base_model": "x", "files": {}}
    (version / "card.json").write_text(json.dumps(card))
    with pytest.raises(SupplyChainError, match="emotion_x 1 has the licence 'CC-BY-NC"):
        check_weights(tmp_path)


def test_the_page_is_up_to_date_and_names_every_package() -> None:
    assert (ROOT / PAGE).read_text("utf-8") == page()


def test_the_texts_are_the_packages_own() -> None:
    for shipped in SHIPPED:
        text = texts(shipped)
        assert (ROOT / "LICENSE").read_text("utf-8") in text
        for one in packages_of(shipped):
            assert f"\n{one.name} {one.version}: {licence_of(one)}\n" in text
            assert all(licence.strip() in text for licence in one.texts.values())
    assert f"{shipped_weights()[0].model} {shipped_weights()[0].version}: " in texts(SHIPPED[0])
    assert ("MIT License" in texts(SHIPPED[0]).rpartition("=" * 80)[2]) == any(
        "MIT" in one.licence for one in shipped_weights()
    )


def test_a_package_without_a_text_has_its_licences_standard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As obstore's wheel, whose licence is known and whose text is not there."""
    given = package(License_Expression="MIT", Home_Page="https://example.org")
    monkeypatch.setattr("deploy.supply_chain.licences.packages_of", lambda _: [given])
    with pytest.raises(SupplyChainError, match="thing 1 brings no licence text along"):
        texts(SHIPPED[1])  # nobody has looked why
    monkeypatch.setitem(WITHOUT_TEXT, "thing", "MIT")
    text = texts(SHIPPED[1])
    assert "By https://example.org" in text
    assert "Permission is hereby granted, free of charge" in text
    for licence in ("BSD-3-Clause", "ISC"):
        given = package(License_Expression=licence)
        with pytest.raises(SupplyChainError, match="thing 1 brings no licence text along"):
            texts(SHIPPED[1])

"""The pages of the API reference: one for each room of a package."""

import pytest

from fashionnb.publishing.api_reference import api_pages

MODULES = {
    "__init__": '"""A package."""',
    "losses": "",
    "miners": "",
    "_private": "",
    "data/__init__": '"""Data, from\nanywhere. More of it.\n\nAnd more."""',
    "data/nouns": "",
    "data/_inner": "",
    "data/deep/__init__": '"""Deep."""',
    "data/deep/inner": "",
    "models/__init__": "",
}


@pytest.fixture
def pages(tmp_path):
    package = tmp_path / "pack"
    for name, text in MODULES.items():
        path = package / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return api_pages(package)


def test_every_public_module_is_on_the_page_of_its_room(pages):
    lines = {page.name: page.text.splitlines() for page in pages}
    found = {
        name: [line.split()[-1] for line in text if "automodule" in line]
        for name, text in lines.items()
    }
    assert found == {
        "pack": ["pack", "pack.losses", "pack.miners"],
        "data": ["pack.data", "pack.data.deep", "pack.data.deep.inner", "pack.data.nouns"],
        "models": ["pack.models"],
    }


def test_titles_are_those_of_the_rooms(pages):
    headings = [page.text.splitlines()[0] for page in pages]
    assert [page.title for page in pages] == ["pack", "pack.data", "pack.models"]
    assert headings == ["# A package", "# Data, from anywhere", "# pack.models"]

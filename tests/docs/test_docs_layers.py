"""The layer tables of the pages name the modules that exist, all of them."""

from pathlib import Path
from typing import Final

import pytest
from docs_pages import code_names, read_page

import typed_async_client

_PACKAGE: Final = Path(typed_async_client.__file__).parent
_TABLES: Final = {
    "CONTRIBUTING.md": "Layer",
    "docs/design.md": "Layer",
    "docs/fr/design.md": "Couche",
}


@pytest.mark.parametrize("name", list(_TABLES))
def test_the_layer_table_names_every_module(name: str) -> None:
    """Each module and subpackage of the package stands in exactly one layer."""
    table = next(table for table in read_page(name).tables if table[0][0] == _TABLES[name])
    named = [module for row in table[1:] for module in code_names(row[1])]
    assert sorted(named) == sorted(_modules())


def _modules() -> list[str]:
    """Return the names of the modules, and those of the subpackages with a slash."""
    return [
        f"{path.name}/" if path.is_dir() else path.name
        for path in _PACKAGE.iterdir()
        if not path.name.startswith("_") and (path.is_dir() or path.suffix == ".py")
    ]

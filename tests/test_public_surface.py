"""What the package shows: its names, its types, and what a plain import costs."""

import ast
import subprocess
import sys
from pathlib import Path

import typed_async_client
from typed_async_client import testing

ROOT = Path(typed_async_client.__file__).parent


def test_the_public_names_are_sorted_and_all_there() -> None:
    """``__all__`` is the page a newcomer reads."""
    assert typed_async_client.__all__ == sorted(typed_async_client.__all__)
    assert all(hasattr(typed_async_client, name) for name in typed_async_client.__all__)


def test_every_name_imported_at_the_top_is_public() -> None:
    """``__init__.py`` hands names on and holds nothing back."""
    tree = ast.parse((ROOT / "__init__.py").read_text())
    handed_on = {
        alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert handed_on == set(typed_async_client.__all__)


def test_the_test_kit_shows_what_it_names() -> None:
    """The same for ``typed_async_client.testing``."""
    assert testing.__all__ == sorted(testing.__all__)
    assert all(hasattr(testing, name) for name in testing.__all__)


def test_the_package_is_marked_as_typed() -> None:
    """Type checkers read annotations only of packages that say they have them."""
    assert (ROOT / "py.typed").is_file()


def test_a_plain_import_loads_no_extra() -> None:
    """The command line, its libraries and the test kit stay out of a service's memory."""
    program = (
        "import sys, typed_async_client; "
        "print([name for name in ('aiohttp', 'cyclopts', 'httpx2', 'pyreqwest', 'pytest', "
        "'typed_async_client.cli', 'typed_async_client.testing') if name in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert printed.stdout.strip() == "[]"

"""The table of the other libraries' private names is correct and complete."""

from collections import defaultdict
from pathlib import Path

import pytest
from private_use import defines, private_uses

import typed_async_client
from typed_async_client.private_names import PRIVATE_NAMES, PrivateName

PACKAGE = Path(typed_async_client.__file__).parent
FILES = [str(path.relative_to(PACKAGE)) for path in sorted(PACKAGE.rglob("*.py"))]


def full_name(entry: PrivateName) -> str:
    """Return the dotted name of a row."""
    return ".".join(filter(None, (entry.module, entry.owner, entry.name)))


@pytest.mark.parametrize("entry", PRIVATE_NAMES, ids=full_name)
def test_a_private_name_exists_in_the_installed_library(entry: PrivateName) -> None:
    """If this fails, the files listed in the row rely on something that the library changed."""
    assert defines(entry.module, entry.owner, entry.name)


@pytest.mark.parametrize("entry", PRIVATE_NAMES, ids=full_name)
def test_a_row_says_what_the_name_is_used_for(entry: PrivateName) -> None:
    """And lists only files that exist."""
    assert entry.why
    assert entry.used_in
    assert set(entry.used_in) <= set(FILES)


def test_the_table_has_no_duplicate_rows() -> None:
    """A name that several files use has one row."""
    names = [full_name(entry) for entry in PRIVATE_NAMES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("file", FILES)
def test_a_file_uses_the_private_names_that_the_table_lists_for_it_and_no_others(file: str) -> None:
    """A new name needs a row, and a row whose name isn't used any more is removed."""
    listed: defaultdict[str, set[str]] = defaultdict(set)
    for entry in PRIVATE_NAMES:
        for user in entry.used_in:
            listed[user].add(entry.name)
    assert private_uses(PACKAGE / file) == listed[file]


@pytest.mark.parametrize(
    "source",
    [
        "from httpx._decoders import GZipDecoder",
        "def f(client):\n    return client._transport",
        "def f(client):\n    return getattr(client, '_transport', None)",
        "import httpx\nclass C(httpx.AsyncClient):\n    async def _send_single_request(self): ...",
        "import httpx\nclass C(httpx.AsyncClient):\n    def f(self):\n        return self._mounts",
        "import httpx\nclass C(httpx.AsyncClient):\n    def f(self):\n        self._mounts = {}",
        "import httpx\nclass B(httpx.AsyncClient): ...\nclass C(B):\n    def _init_transport(self): ...",
        """\
from typed_async_client.pool.pool import ConnectionPool
class C(ConnectionPool):
    def f(self):
        self._connections = []""",
    ],
)
def test_a_private_name_that_is_not_in_the_table_is_found(tmp_path: Path, source: str) -> None:
    """Imported, as an attribute, as a string, overridden, or inherited, also indirectly, and set."""
    file = tmp_path / "module.py"
    file.write_text(source)
    assert len(private_uses(file)) == 1


@pytest.mark.parametrize("owner", ["AsyncClient", ""])
def test_a_name_that_was_removed_is_detected(owner: str) -> None:
    """This proves that the check can fail."""
    assert not defines("httpx._client", owner, "_send_by_carrier_pigeon")

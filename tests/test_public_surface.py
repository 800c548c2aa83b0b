"""The public names, the type marker, and what importing the package loads."""

import ast
import subprocess
import sys
from pathlib import Path

import typed_async_client
from typed_async_client import testing

ROOT = Path(typed_async_client.__file__).parent


def test_the_public_names_are_sorted_and_exist() -> None:
    """``__all__`` is what a newcomer reads first."""
    assert typed_async_client.__all__ == sorted(typed_async_client.__all__)
    assert all(hasattr(typed_async_client, name) for name in typed_async_client.__all__)


def test_every_name_imported_at_the_top_is_public() -> None:
    """``__init__.py`` imports nothing that it doesn't export."""
    tree = ast.parse((ROOT / "__init__.py").read_text())
    imported = {
        alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported == set(typed_async_client.__all__)


def test_the_public_names_of_the_testing_module_exist() -> None:
    """And are sorted."""
    assert testing.__all__ == sorted(testing.__all__)
    assert all(hasattr(testing, name) for name in testing.__all__)


def test_the_package_is_marked_as_typed() -> None:
    """Type checkers ignore the annotations of packages without the marker."""
    assert (ROOT / "py.typed").is_file()


def test_importing_the_package_loads_no_extra() -> None:
    """Nor does it load the command line or the testing module."""
    program = (
        "import sys, typed_async_client; "
        "print([name for name in ('aiohttp', 'cyclopts', 'httpx2', 'httpx_sse', 'msgspec', 'pydantic', 'pyreqwest', 'pytest', 'redis', "
        "'typed_async_client.cli', 'typed_async_client.testing') if name in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert printed.stdout.strip() == "[]"


CLIENT = """
    active_tasks_count add_event_callback circuit clear_old_results close delete download
    event_queue_size fetch get get_all_results get_result head health is_closed lines
    new_context options patch post post_multipart put remove_event_callback request
    request_async results_count sse statistics stream wait_for_all_requests wait_for_request
    warm_up with_options
"""


def test_a_view_is_named_and_has_the_requests_of_its_client() -> None:
    """It has the same methods, except for those of the client's life."""
    client, view = typed_async_client.AsyncResilientClient, typed_async_client.ClientView
    assert isinstance(client().with_options(), view)
    missing = {name for name in set(dir(client)) - set(dir(view)) if not name.startswith("_")}
    assert missing == {"close", "health", "is_closed", "warm_up"}


def test_the_client_and_the_transports_have_no_other_public_names() -> None:
    """A subclass may use any other name."""
    for kind, names in (
        (typed_async_client.AsyncResilientClient, CLIENT),
        (typed_async_client.AsyncPoolTransport, "aclose handle_async_request statistics warm_up"),
        (
            typed_async_client.ResilientTransport,
            "aclose circuit close handle_async_request handle_request wrapped",
        ),
    ):
        assert {name for name in dir(kind) if not name.startswith("_")} == set(names.split())

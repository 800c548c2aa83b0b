"""Which paths stay below the one that they are appended to."""

import posixpath
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.base_path import leaves_base

STAYING = [
    "",
    "a",
    "a/b/",
    "a/../b",
    "a/b/../../c",
    "./a",
    "a/./b",
    "a..b",
    "...",
    "a/...",
    "%2e",
    "a/%2e%2e/b",
    "a%2Fb",
    "a;x=..",
    "a/;..",
]
LEAVING = [
    "..",
    "../",
    "../a",
    "a/../..",
    "./..",
    "a/./../..",
    "%2e%2e",
    "%2E%2e/a",
    ".%2e/a",
    "%2e./a",
    "%252e%252e/a",
    "%25252E./a",
    "a/..%2f..",
    "a%2f..%2f..",
    "a%2fb/../..",
    "..%5ca",
    "..\\a",
    "a\\..\\..",
    "a//../..",
    "//../a",
    "..;/a",
    "..;v=1/a",
    "..%3b/a",
    "a/..;/..",
    "..%252fa",
]


@pytest.mark.parametrize("path", STAYING)
def test_a_path_without_dots_that_lead_out_stays(path: str) -> None:
    """Dots in a name, and dots that a segment before them makes up for, are usual."""
    assert not leaves_base(path)


@pytest.mark.parametrize("path", LEAVING)
def test_a_path_that_leads_out_in_any_reading_leaves(path: str) -> None:
    """Encoded once or several times, with a backslash or a parameter, through empty segments."""
    assert leaves_base(path)


PIECES = ["a", ".", "..", "/", "//", "%2e", "%2E%2e", "%2f", "%5c", "\\", ";", "%252e", "%25"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_what_stays_stays_for_each_server(path: str) -> None:
    """For one that decodes never, once or twice, that merges slashes, and that drops parameters."""
    if leaves_base(path):
        return
    for decoded in (path, unquote(path), unquote(unquote(path))):
        for slashed in (decoded, decoded.replace("\\", "/")):
            bare = "/".join(segment.partition(";")[0] for segment in slashed.split("/"))
            for each in (slashed, bare):
                assert posixpath.normpath(each or ".").split("/")[0] != ".."

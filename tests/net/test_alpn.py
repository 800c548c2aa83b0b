"""The protocols that a TLS context offers, and a context of our own on top of a shared one."""

import ssl

import pytest

from typed_async_client.net.alpn import OwnAlpnContext, offered_protocols

LISTS = [
    [],
    ["h2"],
    ["http/1.1", "h2"],
    ["mqtt", "x" * 255],
    [f"p{number}" for number in range(60)],
]


def context_offering(protocols: list[str]) -> ssl.SSLContext:
    """Create a context of a caller."""
    context = ssl.create_default_context()
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


@pytest.mark.parametrize("protocols", LISTS, ids=len)
def test_the_protocols_that_a_context_offers_are_read_from_its_handshake(
    protocols: list[str],
) -> None:
    """Python has no method to ask for them."""
    assert offered_protocols(context_offering(protocols)) == protocols


@pytest.mark.parametrize("protocols", LISTS, ids=len)
def test_a_handshake_offers_its_own_protocols_and_leaves_the_context_as_it_was(
    protocols: list[str],
) -> None:
    """The caller's context is the one that the TLS object refers to."""
    shared = context_offering(protocols)
    own = OwnAlpnContext(shared)
    own.set_alpn_protocols(["own"])
    assert offered_protocols(shared) == protocols
    assert offered_protocols(own) == ["own"]
    assert offered_protocols(shared) == protocols
    tls = own.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="a.test")
    assert tls.context is shared


def test_the_context_is_left_as_it_was_if_no_handshake_can_be_made() -> None:
    """Here because of an invalid name of the server."""
    shared = context_offering(["mqtt"])
    own = OwnAlpnContext(shared)
    own.set_alpn_protocols(["h2"])
    with pytest.raises(ValueError, match="idna"):
        own.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=".a.test")
    assert offered_protocols(shared) == ["mqtt"]


def test_contexts_of_our_own_share_one_without_disturbing_each_other() -> None:
    """Each of a pool with HTTP/2 and of one without."""
    shared = context_offering([])
    first, second = OwnAlpnContext(shared), OwnAlpnContext(shared)
    first.set_alpn_protocols(["h2"])
    second.set_alpn_protocols(["http/1.1"])
    assert [offered_protocols(one) for one in (first, second, first)] == [
        ["h2"],
        ["http/1.1"],
        ["h2"],
    ]

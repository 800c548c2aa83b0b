"""What speaks HTTP/1.1 in the tests on sockets: both parsers, one after the other."""

import pytest
from pool_kit import without_httptools

from typed_async_client.transports.connection import Http11


@pytest.fixture(params=["h11", "llhttp"])
def http11(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Http11:
    """Play a test with each parser, as the default of a client that has it installed or not."""
    chosen: Http11 = request.param
    if chosen == "h11":
        without_httptools(monkeypatch)
    return chosen

"""Hooks for the whole test suite."""

import gc
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import certifi
import pytest
from hypothesis import settings
from steady_loop import SteadyLoop

_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD")
"""What decides about the proxies of the environment, which must not see the tests' requests."""

_TLS_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Other authorities than those of certifi, which clients would load instead."""


def pytest_configure() -> None:
    """Receive interrupts, use no proxy and no authorities, and repeat the examples of hypothesis.

    A shell lets its background jobs ignore interrupts, and so do their children.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in (*_PROXY_VARIABLES, *_TLS_VARIABLES):
        os.environ.pop(name, None)
        os.environ.pop(name.lower(), None)
    # an example may wait for a busy machine, and each run has the same ones
    settings.register_profile("everywhere", deadline=None, derandomize=True)
    settings.load_profile("everywhere")


def pytest_xdist_auto_num_workers() -> int:
    """Start two workers more than there are processors, because tests mostly wait."""
    return (os.cpu_count() or 1) + 2


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], SteadyLoop]]:
    """Run async tests on a loop whose timeouts don't expire because the machine is busy."""
    return {"steady": SteadyLoop}


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Import the tests without collecting garbage: almost all that this allocates is kept."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Keep collected items out of later garbage collections.

    Many tests run a full collection to check that nothing is leaked. Scanning thousands of test
    items each time would take longer than the tests themselves.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _trust_one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let clients trust one public authority by default, because loading them all takes 20 ms.

    No test reaches a public server, and most of those on sockets open several clients.
    """
    first, end, _ = Path(certifi.where()).read_text("utf-8").partition("-----END CERTIFICATE-----")
    bundle = tmp_path_factory.mktemp("certifi") / "cacert.pem"
    bundle.write_text(f"{first}{end}\n", "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certifi, "where", lambda: str(bundle))
        yield


@pytest.fixture(scope="module", autouse=True)
def _freeze_what_stays() -> Iterator[None]:
    """Keep what a module leaves in caches, such as parsed files, out of later garbage collections.

    Its garbage is collected first, so that a leaked socket is reported while its module runs.
    """
    yield
    gc.collect()
    gc.freeze()

"""TLS contexts for the clients and servers of the tests, cached because keys are slow to generate.

Unless said otherwise, the tests' CA issues the certificates, and ``client_context`` trusts it.
"""

import datetime as dt
import functools
import ssl
from pathlib import Path

import trustme

__all__ = [
    "at_least_tls_1_3",
    "at_most_tls_1_2",
    "ca_file",
    "client_certificate_files",
    "client_context",
    "expired",
    "not_yet_valid",
    "requiring_client_certificate",
    "self_signed",
    "server_context",
    "unknown_issuer",
    "wrong_host",
]


# Clients


@functools.cache
def client_context() -> ssl.SSLContext:
    """Trust the tests' CA."""
    return ssl.create_default_context(cadata=_ca().cert_pem.bytes().decode())


@functools.cache
def at_least_tls_1_3() -> ssl.SSLContext:
    """Trust the tests' CA, and require TLS 1.3."""
    context = ssl.create_default_context(cadata=_ca().cert_pem.bytes().decode())
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def ca_file(folder: Path) -> str:
    """Write the tests' CA to a file, for clients that don't accept a context."""
    path = folder / "ca.pem"
    path.write_bytes(_ca().cert_pem.bytes())
    return str(path)


def client_certificate_files(folder: Path) -> tuple[str, str]:
    """Write a client certificate and its key, and return their paths."""
    certificate, key = folder / "client.pem", folder / "client.key"
    leaf = _ca().issue_cert("client@example.org")
    certificate.write_bytes(leaf.cert_chain_pems[0].bytes())
    key.write_bytes(leaf.private_key_pem.bytes())
    return str(certificate), str(key)


# Servers


@functools.cache
def server_context() -> ssl.SSLContext:
    """Present a valid certificate."""
    return _presenting(_ca().issue_cert("localhost", "127.0.0.1"))


@functools.cache
def unknown_issuer() -> ssl.SSLContext:
    """Present a certificate of a CA that the client doesn't trust."""
    return _presenting(trustme.CA().issue_cert("localhost", "127.0.0.1"))


@functools.cache
def self_signed() -> ssl.SSLContext:
    """Present a self-signed certificate."""
    ca = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with ca.cert_pem.tempfile() as chain, ca.private_key_pem.tempfile() as key:
        context.load_cert_chain(chain, key)
    return context


@functools.cache
def wrong_host() -> ssl.SSLContext:
    """Present a certificate for another host."""
    return _presenting(_ca().issue_cert("elsewhere.example"))


@functools.cache
def expired() -> ssl.SSLContext:
    """Present an expired certificate."""
    return _presenting(_ca().issue_cert("localhost", "127.0.0.1", not_after=_days_from_now(-1)))


@functools.cache
def not_yet_valid() -> ssl.SSLContext:
    """Present a certificate that isn't valid yet."""
    return _presenting(_ca().issue_cert("localhost", "127.0.0.1", not_before=_days_from_now(1)))


@functools.cache
def at_most_tls_1_2() -> ssl.SSLContext:
    """Support only TLS 1.2."""
    context = _presenting(_ca().issue_cert("localhost", "127.0.0.1"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


@functools.cache
def requiring_client_certificate(version: ssl.TLSVersion) -> ssl.SSLContext:
    """Require a client certificate, and one version of TLS."""
    context = _presenting(_ca().issue_cert("localhost", "127.0.0.1"))
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    _ca().configure_trust(context)
    return context


@functools.cache
def _ca() -> trustme.CA:
    return trustme.CA()


def _presenting(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


def _days_from_now(days: int) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(days=days)

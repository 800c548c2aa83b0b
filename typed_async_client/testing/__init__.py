"""Test helpers: a loopback server that misbehaves on purpose, and virtual time."""

from typed_async_client.testing.faults import answer, drop, each_request, half_body, reset, stall
from typed_async_client.testing.server import FaultServer, Handler, SeenRequest, Wire
from typed_async_client.testing.virtual_time import VirtualTimeLoop, in_virtual_time, run_virtual

__all__ = [
    "FaultServer",
    "Handler",
    "SeenRequest",
    "VirtualTimeLoop",
    "Wire",
    "answer",
    "drop",
    "each_request",
    "half_body",
    "in_virtual_time",
    "reset",
    "run_virtual",
    "stall",
]

"""hpack, which encodes and decodes heads, RFC 7541, made to do the same work only once.

Most requests of a client have nearly the same head, and so have most responses of a server. As long as
the table of a direction doesn't change, the same fields are encoded to the same bytes, and the same bytes
are decoded to the same fields. The results are those of hpack, byte by byte. The only file that imports it.

h2 converts and searches the fields of a head several times, and checks the length of a body for the whole
connection, where RFC 9113 section 8.1.1 makes a wrong one an error of the stream. So it isn't shown them.
"""

from collections.abc import Iterable
from typing import Any, Self

import hpack

from typed_async_client.http2.heads import Fields, Headers

__all__ = ["MAX_HEADER_LIST", "PLACEHOLDER", "Decoder", "Encoder", "decoded_fields"]

MAX_HEADER_LIST = 64 * 1024
"""Most bytes in a head from the server, as HPACK counts them: 32 more for each field."""

PLACEHOLDER: Headers = [(b"", b"")]
"""What h2 is shown in place of the fields of a request."""

_MAX_TABLE = 64 * 1024
"""Most bytes that the server may have us keep to compress our heads."""

_MOST_KNOWN, _MAX_KNOWN_SIZE = 128, 1024
"""How many results are remembered, and up to how many encoded bytes each."""

_MOST_VALUES = 8
"""Values of a name after which more of them are kept out of the table: they differ each time."""

_INDEXING_MASK, _INDEXING = 0xC0, 0x40
"""The first bits of a field that is added to the table, RFC 7541 section 6.2.1."""

_STATUS = b":status"
_SHORT_COOKIE = 20
_SECRET = (b"authorization", b"proxy-authorization")
_UNIQUE = (b":path", b"content-length", b"date")


class Encoder(hpack.Encoder):
    """Encodes the heads of requests.

    Attributes:
        fields: the fields to encode next.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fields: Headers = []
        self._known: dict[tuple[bytes, bytes], bytes] = {}
        self._values: dict[bytes, int] = {}  # how many values of a name were added to the table

    @property
    def header_table_size(self) -> int:
        """Bytes of the table, which the server may change."""
        return self.header_table.maxsize

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        size = min(value, _MAX_TABLE)
        if size != self.header_table.maxsize:  # or hpack would forget to announce an earlier change
            self.header_table.maxsize = size
            self.table_size_changes.append(size)

    def encode(self, headers: Iterable[Any], huffman: bool = True) -> bytes:  # noqa: ARG002, FBT001, FBT002 - hpack's own signature
        """Encode ``fields``, whatever h2 passes."""
        known, blocks = self._known, []
        if self.header_table.resized:
            known.clear()
            blocks.append(super().encode(()))  # announces the new size
        blocks += [known.get(field) or self._encode_new(field) for field in self.fields]
        return b"".join(blocks)

    def _encode_new(self, field: tuple[bytes, bytes]) -> bytes:
        name = field[0]
        varies = self._values.get(name, 0) >= _MOST_VALUES
        block = super().encode(
            [hpack.NeverIndexedHeaderTuple(*field) if varies else _compressible(*field)]
        )
        if block[0] & _INDEXING_MASK == _INDEXING:
            self._known.clear()  # the positions in the table have changed
            _remember(self._values, name, self._values.get(name, 0) + 1)
        elif len(block) <= _MAX_KNOWN_SIZE:
            _remember(self._known, field, block)
        return block


class Decoder(hpack.Decoder):
    """Decodes the heads of responses, into what ``decoded_fields`` reads."""

    def __init__(self) -> None:
        super().__init__(max_header_list_size=MAX_HEADER_LIST)
        self._known: dict[bytes, _Shown] = {}

    def decode(self, data: bytes, raw: bool = False) -> list[hpack.HeaderTuple]:  # noqa: ARG002, FBT001, FBT002 - hpack's own signature
        """Decode a head; h2 is shown as much of it as tells an interim response from others."""
        return [self._known.get(data) or self._decode_new(data)]

    def _decode_new(self, data: bytes) -> "_Shown":
        before = self._state()
        decoded = _Shown(super().decode(data, raw=True))
        if not _is_same(before, self._state()):
            self._known.clear()
        elif len(data) <= _MAX_KNOWN_SIZE:
            _remember(self._known, data, decoded)
        return decoded

    def _state(self) -> tuple[Any, ...]:
        """Return what differs after any change of the table: each new entry is put first."""
        entries = self.header_table.dynamic_entries
        return len(entries), self.header_table.maxsize, entries[0] if entries else None


class _Shown(hpack.HeaderTuple):
    """The field of a response that h2 is shown, with all the fields that it isn't shown.

    Attributes:
        fields: all of them.
    """

    fields: Fields

    def __new__(cls, fields: Iterable[Any]) -> Self:
        kept = [(name, value) for name, value in fields]
        first = next((field for field in kept if _ends_pseudo_fields(field[0])), (b"", b""))
        shown = super().__new__(cls, *(first if first[0] == _STATUS else (b"", b"")))
        shown.fields = Fields(kept)
        return shown


def decoded_fields(shown: Any) -> Fields:
    """Return all fields, of the ``headers`` of one of h2's events."""
    fields: Fields = shown[0].fields
    return fields


def _ends_pseudo_fields(name: bytes) -> bool:
    """Whether h2 would look no further for the status."""
    return name == _STATUS or not name.startswith(b":")


def _is_same(before: tuple[Any, ...], after: tuple[Any, ...]) -> bool:
    return before[:2] == after[:2] and before[2] is after[2]


def _remember(known: dict[Any, Any], key: Any, value: Any) -> None:
    if len(known) >= _MOST_KNOWN and key not in known:
        known.clear()
    known[key] = value


def _compressible(name: bytes, value: bytes) -> hpack.HeaderTuple:
    """Keep secrets, and what differs from request to request, out of the table of HPACK.

    RFC 7541 section 7.1.3. The table makes encoding slower, too, the more is in it.
    """
    if name in _SECRET or name in _UNIQUE or (name == b"cookie" and len(value) < _SHORT_COOKIE):
        return hpack.NeverIndexedHeaderTuple(name, value)
    return hpack.HeaderTuple(name, value)

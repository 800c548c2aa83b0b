"""A response of httpx whose body is read whole by plain calls, where nobody asked for its parts.

httpx walks even through a body that has come already by four async generators, each of which the
event loop registers and forgets. All else is httpx's own.

Names of httpx 0.28 used that are not in its documentation: ``Response._content``,
``Response._num_bytes_downloaded`` and ``Response._get_content_decoder``.
"""

from typing import Any

import httpx

__all__ = ["WholeResponse"]


class WholeResponse(httpx.Response):
    """An ``httpx.Response`` on a stream that has ``read_whole()``."""

    def __init__(self, status: int, headers: Any, body: Any, extensions: Any) -> None:
        super().__init__(status, headers=headers, stream=body, extensions=extensions)
        self._body = body

    async def aread(self) -> bytes:
        """Read the body to its end, and give it decoded.

        Raises:
            httpx.HTTPError: as ``httpx.Response.aread`` does.
        """
        if hasattr(self, "_content") or self.is_stream_consumed or self.is_closed:
            return await super().aread()
        self.is_stream_consumed = True
        try:
            raw = await self._body.read_whole()
            self._num_bytes_downloaded = len(raw)
            decoder = self._get_content_decoder()
            content = decoder.decode(raw) + decoder.flush()
            await self.aclose()
        except httpx.RequestError as error:
            error.request = self.request
            raise
        self._content = content
        return content

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_body"}

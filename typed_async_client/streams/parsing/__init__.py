"""Parsers of streamed text: lines, and server-sent events. Pure: bytes in, values out."""

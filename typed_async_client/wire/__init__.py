"""Shared by HTTP/1.1, HTTP/2 and the pool: messages, framing headers and trace events."""

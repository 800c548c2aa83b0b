"""Responses that are read as lines or as server-sent events, on top of ``client.stream()``."""

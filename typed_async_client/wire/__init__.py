"""What HTTP/1.1, HTTP/2 and the pool share: messages, framing headers, trace events."""

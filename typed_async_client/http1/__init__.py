"""HTTP/1.1: our connection on llhttp, httpcore's on h11, and what both need."""

"""HTTP/1.1: our connection, and its parsers on llhttp and on h11."""

"""Other libraries below the client, by name; each has one file."""

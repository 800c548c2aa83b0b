"""Other HTTP libraries that a client can send through, one file each."""
